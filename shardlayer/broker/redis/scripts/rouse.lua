-- Wakes the next who waits for a channel, if a message does: who was woken for it is gone.
--
-- KEYS  1 queue    2 waiting
-- ARGV  1 inbox prefix   2 wake-up (a packed batch)
-- Returns  1 if somebody was woken, else 0

if redis.call('LLEN', KEYS[1]) == 0 then
  return 0
end
while true do
  local node = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not node then
    return 0
  end
  redis.call('ZREM', KEYS[2], node)
  if redis.call('SPUBLISH', ARGV[1] .. node, ARGV[2]) > 0 then
    return 1
  end
end
