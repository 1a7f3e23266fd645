-- Says which processes' reports are kept, and the totals of the last steps of time.
--
-- KEYS  1 reported   2 totals
-- ARGV  1 how many processes at most    2 for how long one is told of that is over, ms
--       3 how many of those at most
-- Returns  {now in ms, {each process}, {each field of the totals, its value},
--           {each process whose report is over: those that ended last, first}}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local known = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf',
  'LIMIT', 0, ARGV[1])
local lost = redis.call('ZREVRANGEBYSCORE', KEYS[1], string.format('%.0f', now),
  string.format('(%.0f', now - tonumber(ARGV[2])), 'LIMIT', 0, ARGV[3])
return {string.format('%.0f', now), known, redis.call('HGETALL', KEYS[2]), lost}
