-- Takes the oldest message that has not expired from a channel's queue.
--
-- KEYS  1 queue   2 waiting (a normal channel's)
-- ARGV  1 the node that waits if there is no message, or '' for a process-local channel
--       2 how long it is remembered that it waits, ms
-- Returns  the element (see send.lua), or nil if the queue is empty
--
-- Looking and waiting are one step, so no message can fall between them. The first write is one
-- that a server whose memory is full allows, and with it all of them: so queues can be emptied.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

while true do
  local element = redis.call('LPOP', KEYS[1])
  if not element then
    break
  end
  if #element >= 8 and struct.unpack('>I8', element) > now then
    if ARGV[1] ~= '' then
      redis.pcall('ZREM', KEYS[2], ARGV[1])  -- taken already: a wrong type must not lose it
    end
    return element
  end
end
if ARGV[1] ~= '' then
  local since = string.format('%.0f', clock[1] * 1000000 + clock[2])
  redis.call('ZADD', KEYS[2], 'NX', since, ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return false
