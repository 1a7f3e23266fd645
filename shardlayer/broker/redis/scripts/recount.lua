-- Counts anew how many connections each person has to a room, from what the nodes have.
--
-- KEYS  1 people   2 present   then the `here` of each node that the caller knows
-- ARGV  1 room   then each node that the caller knows
-- Returns  {1 if somebody was in the room before, else 0; 1 if somebody is, else 0};
--          or {-1, each node}, if there is one that the caller does not know: it asks again
--
-- For when something else than the layer has written here, or removed something: a node calls it for
-- its rooms after it announced all again.

local CHUNK = 200  -- entries read at a time, and fields written

local first, ends = '[' .. ARGV[1] .. '\0', '(' .. ARGV[1] .. '\1'
local nodes, here_of = {}, {}
for _, node in ipairs(redis.call('HKEYS', KEYS[2])) do
  if node ~= '#' then  -- a mark of watch.lua
    nodes[#nodes + 1] = node
  end
end
for i = 3, #KEYS do
  here_of[ARGV[i - 1]] = KEYS[i]
end
for i = 1, #nodes do
  if not here_of[nodes[i]] then
    return {-1, unpack(nodes)}
  end
end

local before = redis.call('HLEN', KEYS[1])
local counts = {}
for _, node in ipairs(nodes) do
  local from = first
  repeat
    local entries = redis.call('ZRANGEBYLEX', here_of[node], from, ends, 'LIMIT', 0, CHUNK)
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
