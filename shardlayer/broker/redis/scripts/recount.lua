-- Counts anew how many connections each person has to a room, from what the nodes have.
--
-- KEYS  1 people   2 present
-- ARGV  1 room   2 the prefix of `here`
-- Returns  {1 if somebody was in the room before, else 0; 1 if somebody is, else 0}
--
-- For when something else than the layer has written here, or removed something: a node calls it for
-- its rooms after it announced all again. As in present.lua, the nodes' `here` are not among KEYS.

local CHUNK = 200  -- entries read at a time, and fields written

local first, ends = '[' .. ARGV[1] .. '\0', '(' .. ARGV[1] .. '\1'
local before = redis.call('HLEN', KEYS[1])
local counts = {}
for _, node in ipairs(redis.call('HKEYS', KEYS[2])) do
  local from = first
  repeat
    local entries = redis.call('ZRANGEBYLEX', ARGV[2] .. node, from, ends, 'LIMIT', 0, CHUNK)
    for i = 1, #entries do
      local person = string.match(entries[i], '^%Z+%z(%Z+)%z')
      if person then
        counts[person] = (counts[person] or 0) + 1
      end
    end
    from = '(' .. (entries[#entries] or '')
  until #entries < CHUNK
end

redis.call('DEL', KEYS[1])
local fields = {}
for person, count in pairs(counts) do
  fields[#fields + 1] = person
  fields[#fields + 1] = count
  if #fields == 2 * CHUNK then
    redis.call('HSET', KEYS[1], unpack(fields))
    fields = {}
  end
end
if #fields > 0 then
  redis.call('HSET', KEYS[1], unpack(fields))
end
return {before > 0 and 1 or 0, next(counts) and 1 or 0}
