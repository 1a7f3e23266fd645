-- Appends a message to a channel's queue unless it is full, and wakes one who waits for it.
--
-- KEYS  1 queue    2 waiting    3 held (a process-local channel's)
-- ARGV  1 capacity   2 expiry, ms   3 message   4 inbox prefix   5 wake-up (a packed batch)
--       6 the node that receives a process-local channel, or '' for a normal channel
-- Returns  1 if the message waits in the queue now, 0 if the channel was full
--
-- What a process-local channel got from its groups waits in its process, which tells in `held` how
-- many there are: they count like those in the queue.
--
-- A queue's element is its expiry, 8 bytes big-endian in ms of Redis's clock, and the message.
--
-- All that may hold a wrong type is read before the message is appended.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- All elements of a channel live equally long, so the expired ones are at the head.
while true do
  local head = redis.call('LINDEX', KEYS[1], 0)
  if not head or #head >= 8 and struct.unpack('>I8', head) > now then
    break
  end
  redis.call('LPOP', KEYS[1])
end

local is_local = ARGV[6] ~= ''
local held = is_local and tonumber(redis.call('GET', KEYS[3]) or '') or 0
if redis.call('LLEN', KEYS[1]) + held >= tonumber(ARGV[1]) then
  return 0
end
local node = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
redis.call('RPUSH', KEYS[1], struct.pack('>I8', now + tonumber(ARGV[2])) .. ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if is_local then
  redis.call('SPUBLISH', ARGV[4] .. ARGV[6], ARGV[5])
end
-- The one that has waited longest; one that can't be told is gone. A process-local channel has
-- such nodes if its loop is gone and another one of the process reads on.
while node do
  redis.call('ZREM', KEYS[2], node)
  if redis.call('SPUBLISH', ARGV[4] .. node, ARGV[5]) > 0 then
    break
  end
  node = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
end
return 1
