-- Says how many people are in a room, and names some of them.
--
-- KEYS  1 people   2 present   3 alive   then the `here` of each node that the caller knows
-- ARGV  1 room   2 how many people to name   3 the person behind whom ('': all)
--       4 how many connections of one person to tell of, for each node
--       5 how long before its end a lease counts as over, ms
--       then each node that the caller knows
-- Returns  {people, connections, how many nodes are gone, each of these,
--           then for each node and person in the order of their names: the person, how many
--           connections that person has on all nodes, how many infos follow, each info};
--           or {-1, each node}, if there is one that the caller does not know: it asks again
--
-- Each node names as many people as were asked for: the first of all of them together are complete.

local CHUNK = 200  -- entries read at a time
local FIXED = 5  -- arguments before the nodes

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[5])

local room, limit, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local first, ends = '[' .. room .. '\0', '(' .. room .. '\1'
local nodes, here_of = {}, {}
for _, node in ipairs(redis.call('HKEYS', KEYS[2])) do
  if node ~= '#' then  -- a mark of watch.lua
    nodes[#nodes + 1] = node
  end
end
for i = 4, #KEYS do
  here_of[ARGV[FIXED + i - 3]] = KEYS[i]
end
for i = 1, #nodes do
  if not here_of[nodes[i]] then
    return {-1, unpack(nodes)}
  end
end
local leases = #nodes > 0 and redis.call('ZMSCORE', KEYS[3], unpack(nodes)) or {}
local gone, connections, found = {}, 0, {}
for n = 1, #nodes do
  if (tonumber(leases[n] or nil) or 0) <= now then
    gone[#gone + 1] = nodes[n]
  end
  local here = here_of[nodes[n]]
  local there = redis.call('ZLEXCOUNT', here, first, ends)
  connections = connections + there
  local from = ARGV[3] == '' and first or first .. ARGV[3] .. '\1'
  local named, person, infos = 0, nil, nil
  while limit > 0 and there > 0 and named <= limit do
    local entries = redis.call('ZRANGEBYLEX', here, from, ends, 'LIMIT', 0, CHUNK)
    local before = person
    for i = 1, #entries do
      local who, info = string.match(entries[i], '^%Z+%z(%Z+)%z%Z*%z(.*)$')
      if who and who ~= person then
        named = named + 1
        if named > limit then
          break
        end
        person, infos = who, {}
        found[#found + 1] = {who, infos}
      end
      if who and #infos < most then
        infos[#infos + 1] = info
      end
    end
    if #entries < CHUNK then
      break
    end
    -- Who has very many connections is passed over, not read through.
    from = person and person == before and first .. person .. '\1' or '(' .. entries[#entries]
  end
end

local reply = {redis.call('HLEN', KEYS[1]), connections, #gone}
for i = 1, #gone do
  reply[#reply + 1] = gone[i]
end
for i = 1, #found do
  local who, infos = found[i][1], found[i][2]
  reply[#reply + 1] = who
  reply[#reply + 1] = tonumber(redis.call('HGET', KEYS[1], who) or '') or 0
  reply[#reply + 1] = #infos
  for j = 1, #infos do
    reply[#reply + 1] = infos[j]
  end
end
return reply
