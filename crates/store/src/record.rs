//! Stored rows: versioned JSON, converted by hand from and to the records of `call`.
