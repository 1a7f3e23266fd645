-- Publishes one batch on one shard: all of it or, if it was published before, none of it.
--
-- KEYS  1 alive   2 born   3 the writer's last batch   4 targeted   5 marks   6 life
--       then for each group: nodes, meta, history
--       then for each idempotency key: where its publication stands
-- ARGV  1 the batch's number; a writer counts its batches on this shard and repeats a number only
--         to repeat the batch
--       2 lease TTL, ms   3 how long the writer's last batch is remembered, ms   4 meta TTL, ms
--       5 inbox prefix    6 the all-nodes channel   7 the wire version byte
--       8 an epoch for groups that need one         9 the number of groups
--       10 the number of sources                    11 the number of idempotency keys
--       12 how long an idempotency key is remembered, ms
--       then for each group: history size (0: none; -1: for all nodes, and none), history TTL in ms
--       then the name of each source
--       then for each publication: its group's number from 1, its body (see wire.py) and, if there
--       are sources or idempotency keys: its source's number (0: none), the record's offset, the
--       index in the record, its idempotency key's number (0: none)
-- Returns  {publications for just the nodes that have members, publications for all nodes because
--           the registry can't be trusted, messages published, the number of channels below,
--           then epoch of each group ('' where there is no history), offset of each publication
--           (0 where there is no history, -1 where it was published before),
--           then group number and name of each normal channel that is a member,
--           then number, offset and epoch of each publication whose idempotency key is known}
--
-- Lua does not roll back: the caller has validated everything, and nothing below can fail once the
-- first write was made.

local SHARED_KEYS, SHARED_ARGS = 6, 12
local NO_EPOCH = string.rep('\0', 8)

local number = ARGV[1]
local lease_ttl = tonumber(ARGV[2])
local groups, sources, known = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

-- A batch whose answer was lost is answered again and not applied again.
local known_so_far = redis.call('MGET', KEYS[3], KEYS[2], KEYS[4], KEYS[6])
local remembered = known_so_far[1]
if remembered then
  local last, answer = string.match(remembered, '^(%d+) (.*)$')
  if last == number then
    return cmsgpack.unpack(answer)
  end
  if tonumber(last) > tonumber(number) then
    return redis.error_reply('STALE a later batch of this writer was published')
  end
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Nodes whose lease ended are forgotten; what remains are the outboxes.
local outboxes, any_alive, any_dead = {}, false, false
local leases = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
  if tonumber(leases[i + 1]) > now then
    outboxes[leases[i]] = {}
    any_alive = true
  else
    any_dead = true
  end
end
if any_dead then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
end

-- A registry that was found new less than a lease ago may still lack nodes: publish to all.
local born = tonumber(known_so_far[2] or nil)
if not born then
  born = now
  redis.call('SET', KEYS[2], string.format('%.0f', now))
end
local trusted = any_alive and now - born >= lease_ttl
local percent = tonumber(known_so_far[3] or 100)
local life = known_so_far[4] or ''

local size, ttl, offset, epoch, nodes, channels = {}, {}, {}, {}, {}, {}
for g = 1, groups do
  local key = SHARED_KEYS + 3 * g - 2
  size[g], ttl[g] = tonumber(ARGV[SHARED_ARGS + 2 * g - 1]), ARGV[SHARED_ARGS + 2 * g]
  if size[g] > 0 then
    local meta = redis.call('HMGET', KEYS[key + 1], 'o', 'e', 'l')
    if meta[2] and (meta[3] or '') == life then
      offset[g], epoch[g] = tonumber(meta[1]), meta[2]
    elseif meta[2] then
      -- Offsets that the server has lost are given again, and must not pass for the lost ones.
      offset[g], epoch[g] = tonumber(meta[1]), ARGV[8]
    else
      -- A new epoch counts from 1 again, which the stream of an older one would refuse.
      offset[g], epoch[g] = 0, ARGV[8]
      redis.call('DEL', KEYS[key + 2])
    end
  else
    epoch[g] = NO_EPOCH
  end
  if size[g] >= 0 then
    local interested = {}
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
        interested[#interested + 1] = outbox
      elseif trusted then
        redis.call('HDEL', KEYS[key], member)
      end
    end
    -- Which rooms are told to all nodes all the same, while targeted dispatch is rolled out.
    if trusted and (percent >= 100
        or tonumber(string.sub(redis.sha1hex(KEYS[key]), 1, 8), 16) % 100 < percent) then
      nodes[g] = interested
    end
  end
end

-- What was taken from each source, and what each idempotency key stands for.
local first_source = SHARED_ARGS + 2 * groups
local taken_offset, taken_index, answers = {}, {}, {}
if sources > 0 then
  local marks = redis.call('HMGET', KEYS[5], unpack(ARGV, first_source + 1, first_source + sources))
  for s = 1, sources do
    local at, index = string.match(marks[s] or '-1 0', '^(%-?%d+) (%d+)$')
    taken_offset[s], taken_index[s] = tonumber(at), tonumber(index)
  end
end
if known > 0 then
  answers = redis.call('MGET', unpack(KEYS, #KEYS - known + 1))
end

local everything, reply_offsets, repeats = {}, {}, {}
local targeted, fallback = 0, 0
local stride = (sources > 0 or known > 0) and 6 or 2
for i = first_source + sources + 1, #ARGV, stride do
  local g, body = tonumber(ARGV[i]), ARGV[i + 1]
  local source, record, index, key = 0, 0, 0, 0
  if stride > 2 then
    source, record = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    index, key = tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
  end
  if source > 0 and (record < taken_offset[source]
      or record == taken_offset[source] and index <= taken_index[source]) then
    reply_offsets[#reply_offsets + 1] = -1
  elseif key > 0 and answers[key] then
    local at, life = string.match(answers[key], '^(%d+) (.*)$')
    reply_offsets[#reply_offsets + 1] = -1
    repeats[#repeats + 1] = #reply_offsets
    repeats[#repeats + 1] = tonumber(at)
    repeats[#repeats + 1] = life
  else
    local at = 0
    if offset[g] then
      at = offset[g] + 1
      offset[g] = at
      redis.call('XADD', KEYS[SHARED_KEYS + 3 * g], 'MAXLEN', '~', size[g],
                 string.format('%.0f-0', at), 'p', body)
    end
    reply_offsets[#reply_offsets + 1] = at
    local entry = struct.pack('>I8c8I4', at, epoch[g], #body) .. body
    if nodes[g] then
      targeted = targeted + 1
      for _, outbox in ipairs(nodes[g]) do
        outbox[#outbox + 1] = entry
      end
    else
      if size[g] >= 0 and not trusted then
        fallback = fallback + 1
      end
      everything[#everything + 1] = entry
    end
    if source > 0 then
      taken_offset[source], taken_index[source] = record, index
    end
    if key > 0 then
      answers[key] = string.format('%.0f ', at) .. (at > 0 and epoch[g] or '')
      redis.call('SET', KEYS[#KEYS - known + key], answers[key], 'PX', ARGV[12])
    end
  end
end

local reply = {targeted, fallback, 0, #channels / 2}
for g = 1, groups do
  if offset[g] then
    local key = SHARED_KEYS + 3 * g - 2
    local at = string.format('%.0f', offset[g])
    if life == '' then
      redis.call('HSET', KEYS[key + 1], 'o', at, 'e', epoch[g])
    else
      redis.call('HSET', KEYS[key + 1], 'o', at, 'e', epoch[g], 'l', life)
    end
    redis.call('PEXPIRE', KEYS[key + 1], ARGV[4])
    redis.call('PEXPIRE', KEYS[key + 2], ttl[g])
  end
  reply[#reply + 1] = offset[g] and epoch[g] or ''
end
for _, list in ipairs({reply_offsets, channels, repeats}) do
  for i = 1, #list do
    reply[#reply + 1] = list[i]
  end
end
for s = 1, sources do
  redis.call('HSET', KEYS[5], ARGV[first_source + s],
             string.format('%.0f %.0f', taken_offset[s], taken_index[s]))
end
if sources > 0 then
  redis.call('PEXPIRE', KEYS[5], ARGV[4])
end

local messages = {}
for node, outbox in pairs(outboxes) do
  if #outbox > 0 then
    messages[#messages + 1] = {ARGV[5] .. node, outbox}
  end
end
if #everything > 0 then
  messages[#messages + 1] = {ARGV[6], everything}
end
reply[3] = #messages

-- Remembered before it is told: a server that refuses to write (its memory is full, its disk, too
-- few replicas) still publishes, and each retry would be heard once more.
redis.call('SET', KEYS[3], number .. ' ' .. cmsgpack.pack(reply), 'PX', ARGV[3])
for _, message in ipairs(messages) do
  redis.call('SPUBLISH', message[1], ARGV[7] .. table.concat(message[2]))
end
return reply
