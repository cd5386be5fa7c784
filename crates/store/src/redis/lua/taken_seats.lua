-- The starts of the seats that are taken.
-- KEYS: promised, holds of tenant; ARGV: time (empty: the server's), queue, from, to, own hold (may be empty)
return seats(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], clock(ARGV[1]), '', ARGV[5])
