//! Who is rung for a queue: present, free, longest idle first.
