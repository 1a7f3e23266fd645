-- Keeps what a process says of itself, and adds its numbers to the totals of this step of time.
--
-- KEYS  1 reports   2 reported   3 totals
-- ARGV  1 process    2 report    3 how long it counts, ms    4 how many processes are kept
--       5 step, ms   6 how many steps are kept   7 how long it is told of one that is over, ms
--       8 of how many of those   then a name and a number for each total
-- Returns  1, or 0 if so many other processes' count already: then nothing was done
--
-- A field of `reports` is when it came, in ms of this clock, a space, and the report. A field of
-- `totals` is the number of the step, a colon and the name.

local SWEPT = 200  -- reports that are over and go with one call

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function forget(processes)
  if #processes > 0 then
    redis.call('HDEL', KEYS[1], unpack(processes))
    redis.call('ZREM', KEYS[2], unpack(processes))
  end
end

local told_since = string.format('%.0f', now - tonumber(ARGV[7]))
forget(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', told_since, 'LIMIT', 0, SWEPT))
local lost = redis.call('ZCOUNT', KEYS[2], '-inf', string.format('%.0f', now)) - tonumber(ARGV[8])
if lost > 0 then
  forget(redis.call('ZRANGE', KEYS[2], 0, math.min(lost, SWEPT) - 1))
end
local ends = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
if ends <= now
  and redis.call('ZCOUNT', KEYS[2], string.format('(%.0f', now), '+inf') >= tonumber(ARGV[4]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
local kept = string.format('%.0f', tonumber(ARGV[3]) + tonumber(ARGV[7]))
for i = 1, 2 do
  redis.call('PEXPIRE', KEYS[i], kept, 'NX')
  redis.call('PEXPIRE', KEYS[i], kept, 'GT')
end

if #ARGV > 8 then
  local step = math.floor(now / tonumber(ARGV[5]))
  local prefix = string.format('%.0f:', step)
  if redis.call('HEXISTS', KEYS[3], prefix) == 0 then  -- the first of this step sweeps
    local first = step - tonumber(ARGV[6]) + 1
    local old = {}
    for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
      local its = tonumber(string.match(field, '^(%d+):') or '')
      if not its or its < first or its > step then
        old[#old + 1] = field
      end
    end
    for i = 1, #old, 200 do
      redis.call('HDEL', KEYS[3], unpack(old, i, math.min(i + 199, #old)))
    end
    redis.call('HSET', KEYS[3], prefix, '1')
  end
  for i = 9, #ARGV - 1, 2 do
    local field = prefix .. ARGV[i]
    local before = tonumber(redis.call('HGET', KEYS[3], field) or '') or 0
    redis.call('HSET', KEYS[3], field, string.format('%.17g', before + (tonumber(ARGV[i + 1]) or 0)))
  end
  redis.call('PEXPIRE', KEYS[3], tonumber(ARGV[5]) * tonumber(ARGV[6]))
end
return 1
