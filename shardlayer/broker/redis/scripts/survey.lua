-- Says of groups who is in them and where they stand.
--
-- KEYS  1 alive   then for each group: nodes, meta, history, people
-- Returns  for each group: members on nodes whose lease runs, how many such nodes have members, the
--          meta ('' if there is none), people, ms until the history goes (-2: there is none)
--
-- What is of a wrong type counts as nothing: one odd key must not hide all the others.

local function ask(nothing, ...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    return nothing
  end
  return reply
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local leases, is_alive = ask({}, 'ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), {}
for i = 1, #leases, 2 do
  is_alive[leases[i]] = tonumber(leases[i + 1]) > now
end

local reply = {}
for i = 2, #KEYS, 4 do
  local found, members, nodes = ask({}, 'HGETALL', KEYS[i]), 0, 0
  for at = 1, #found, 2 do
    if is_alive[found[at]] then
      members = members + (tonumber(found[at + 1]) or 0)
      nodes = nodes + 1
    end
  end
  reply[#reply + 1] = members
  reply[#reply + 1] = nodes
  reply[#reply + 1] = ask(false, 'GET', KEYS[i + 1]) or ''
  reply[#reply + 1] = ask(0, 'HLEN', KEYS[i + 3])
  reply[#reply + 1] = ask(-2, 'PTTL', KEYS[i + 2])
end
return reply
