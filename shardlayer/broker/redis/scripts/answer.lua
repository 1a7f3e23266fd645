-- Keeps a node's answer to a question for a group's members.
--
-- KEYS  1 census
-- ARGV  1 node   2 answer   3 how long the answers are kept, ms
-- Returns  1

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
