-- Publishes one batch on one shard: all of it or, if it was published before, none of it.
--
-- KEYS  1 alive   2 born   3 the writer's last batch
--       then for each group: nodes, meta, history
-- ARGV  1 the batch's number; a writer counts its batches on this shard and repeats a number only
--         to repeat the batch
--       2 lease TTL, ms   3 how long the writer's last batch is remembered, ms   4 meta TTL, ms
--       5 inbox prefix    6 the all-nodes channel   7 the wire version byte
--       8 an epoch for groups that have none        9 the number of groups
--       then for each group: history size (0: none), history TTL in ms
--       then for each publication: its group's number from 1, its body (see wire.py)
-- Returns  {1 targeted or 0 fallback, messages published, epoch of each group ('' where there is
--           no history), offset of each publication (0 where there is no history),
--           then group number and name of each normal channel that is a member}
--
-- Lua does not roll back: the caller has validated everything, and nothing below can fail once the
-- first write was made.

local SHARED_KEYS, SHARED_ARGS = 3, 9
local NO_EPOCH = string.rep('\0', 8)

local number = ARGV[1]
local lease_ttl = tonumber(ARGV[2])
local groups = tonumber(ARGV[9])

-- A batch whose answer was lost is answered again and not applied again.
local remembered = redis.call('GET', KEYS[3])
if remembered then
  local last, answer = string.match(remembered, '^(%d+) (.*)$')
  if last == number then
    -- A write, so that a WAIT behind it waits for the batch on whichever connection it is repeated.
    redis.call('PEXPIRE', KEYS[3], ARGV[3])
    return cmsgpack.unpack(answer)
  end
  if tonumber(last) > tonumber(number) then
    return redis.error_reply('STALE a later batch of this writer was published')
  end
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Nodes whose lease ended are forgotten; what remains are the outboxes.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local outboxes, any_alive = {}, false
local leases = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
  outboxes[leases[i]] = {}
  any_alive = true
end

-- A registry that was found new less than a lease ago may still lack nodes: publish to all.
local born = tonumber(redis.call('GET', KEYS[2]) or nil)
if not born then
  born = now
  redis.call('SET', KEYS[2], string.format('%.0f', now))
end
local targeted = any_alive and now - born >= lease_ttl

local size, ttl, offset, epoch, nodes, channels = {}, {}, {}, {}, {}, {}
for g = 1, groups do
  local key = SHARED_KEYS + 3 * g - 2
  size[g], ttl[g] = tonumber(ARGV[SHARED_ARGS + 2 * g - 1]), ARGV[SHARED_ARGS + 2 * g]
  if size[g] > 0 then
    local meta = redis.call('HMGET', KEYS[key + 1], 'o', 'e')
    if meta[2] then
      offset[g], epoch[g] = tonumber(meta[1]), meta[2]
    else
      -- A new epoch counts from 1 again, which the stream of an older one would refuse.
      offset[g], epoch[g] = 0, ARGV[8]
      redis.call('DEL', KEYS[key + 2])
    end
  else
    epoch[g] = NO_EPOCH
  end
  nodes[g] = {}
  local members = redis.call('HGETALL', KEYS[key])
  for i = 1, #members, 2 do
    local member, outbox = members[i], outboxes[members[i]]
    if string.sub(member, 1, 1) == '#' then
      if tonumber(members[i + 1]) > now then
        channels[#channels + 1] = g
        channels[#channels + 1] = string.sub(member, 2)
      else
        redis.call('HDEL', KEYS[key], member)
      end
    elseif outbox then
      nodes[g][#nodes[g] + 1] = outbox
    elseif targeted then
      redis.call('HDEL', KEYS[key], member)
    end
  end
end

local everything, reply_offsets = {}, {}
for i = SHARED_ARGS + 2 * groups + 1, #ARGV, 2 do
  local g, body = tonumber(ARGV[i]), ARGV[i + 1]
  local at = 0
  if offset[g] then
    at = offset[g] + 1
    offset[g] = at
    redis.call('XADD', KEYS[SHARED_KEYS + 3 * g], 'MAXLEN', '~', size[g],
               string.format('%.0f-0', at), 'p', body)
  end
  reply_offsets[#reply_offsets + 1] = at
  local entry = struct.pack('>I8c8I4', at, epoch[g], #body) .. body
  if targeted then
    for _, outbox in ipairs(nodes[g]) do
      outbox[#outbox + 1] = entry
    end
  else
    everything[#everything + 1] = entry
  end
end

local reply = {targeted and 1 or 0, 0}
for g = 1, groups do
  if offset[g] then
    local key = SHARED_KEYS + 3 * g - 2
    redis.call('HSET', KEYS[key + 1], 'o', string.format('%.0f', offset[g]), 'e', epoch[g])
    redis.call('PEXPIRE', KEYS[key + 1], ARGV[4])
    redis.call('PEXPIRE', KEYS[key + 2], ttl[g])
  end
  reply[#reply + 1] = offset[g] and epoch[g] or ''
end
for i = 1, #reply_offsets do
  reply[#reply + 1] = reply_offsets[i]
end
for i = 1, #channels do
  reply[#reply + 1] = channels[i]
end

if targeted then
  for node, outbox in pairs(outboxes) do
    if #outbox > 0 then
      redis.call('SPUBLISH', ARGV[5] .. node, ARGV[7] .. table.concat(outbox))
      reply[2] = reply[2] + 1
    end
  end
else
  redis.call('SPUBLISH', ARGV[6], ARGV[7] .. table.concat(everything))
  reply[2] = 1
end

redis.call('SET', KEYS[3], number .. ' ' .. cmsgpack.pack(reply), 'PX', ARGV[3])
return reply
