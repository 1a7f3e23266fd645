-- Forgets what was published to a group, and tells all nodes.
--
-- KEYS  1 meta   2 history   3 newest
-- ARGV  1 all-nodes channel   2 how a message to a node begins   3 the body of what nodes are told
-- Returns  1
--
-- What nodes are told has the offset and the epoch that the group is at: they may keep its newest
-- publication, and forget what stands up to there.

local NO_EPOCH = '\0\0\0\0\0\0\0\0'

local offset, epoch = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%S%S%S%S%S%S%S%S) ')
redis.call('UNLINK', KEYS[2], KEYS[3])
local head = struct.pack('>I8c8I4', tonumber(offset or '0'), epoch or NO_EPOCH, #ARGV[3])
redis.call('SPUBLISH', ARGV[1], ARGV[2] .. head .. ARGV[3])
return 1
