-- Notes that a server may have lost what it had acknowledged, or has.
--
-- KEYS  life of each of its shards, then run
-- ARGV  1 the life that begins   2 1 if something is known to be lost, else 0   3 the run
-- Returns  how many shards begin it
--
-- A life that is known to have lost something ends with '!', and whoever only doubts changes
-- nothing of that.

local mark = ARGV[1] .. '!'
local begun = 0
for i = 1, #KEYS - 1 do
  local life = redis.call('MGET', KEYS[i])[1]
  if life ~= mark and (ARGV[2] == '1' or life ~= ARGV[1]) then
    redis.call('SET', KEYS[i], ARGV[2] == '1' and mark or ARGV[1])
    begun = begun + 1
  end
end
redis.call('SET', KEYS[#KEYS], ARGV[3])
return begun
