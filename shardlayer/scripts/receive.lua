-- Takes the oldest message that has not expired from a channel's queue.
--
-- KEYS  1 queue   2 readers (a normal channel's)
-- ARGV  1 the node to wake when a normal channel gets a message, or '' for a process-local channel
-- Returns  the element (see send.lua), or nil if the queue is empty
--
-- Registering and looking are one step, so no message can fall between them.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], '1')
end
while true do
  local element = redis.call('LPOP', KEYS[1])
  if not element then
    return false
  end
  if struct.unpack('>I8', element) > now then
    return element
  end
end
