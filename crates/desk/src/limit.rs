//! Budgets by address: how many calls at once, how many requests a minute.
