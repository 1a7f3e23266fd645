-- Publishes one batch on the shards of one bundle: all of it or, if it was published before, none of it.
--
-- KEYS  1 the writer's last batch
--       then for each shard: born, targeted, life       then for each group: meta
--       then for each shard: alive, marks               then for each group: nodes, history
--       then for each idempotency key: where its publication stands
--       then for each group that keeps its newest publication: that one
-- ARGV  1 the batch's number; a writer counts its batches and repeats a number only to repeat the
--         batch
--       2 lease TTL, ms   3 how long the writer's last batch is remembered, ms   4 meta TTL, ms
--       5 how each message to a node begins (see wire.py)
--       6 an epoch for groups that need one
--       7 how long an idempotency key is remembered, ms
--       8 the number of shards         9 the number of policies
--       10 for each group: its shard's number and its policy's, 2 bytes each
--       11 for each publication: its group's number, 2 bytes
--       12 for each publication, or '' if none has a source or an idempotency key: its source's
--          number in the shard, 2 bytes, the record's offset and the index in the record, 8 bytes
--          each, its key's number, 2 bytes; a number is 0 where there is none
--       13 for how long a group's meta is kept for each publication that it had, ms, at most for
--          the meta TTL and at least for its history's; 0: for the meta TTL
--       14 or '' if no publication has one: the entry that nodes are told right before it, by the
--          publication's number, as MessagePack; no history keeps it
--       15 what begins the name of a channel on which a node hears several shards, or '' for none
--       then for each shard: its inbox prefix, its all-nodes channel, the number of its sources, and
--       its own number
--       then for each policy: its history's size (0: none; -1: for all nodes, and none), TTL in ms,
--       1 if the newest publication is kept as long as the meta, else 0
--       then the names of the sources, shard by shard
--       then the body of each publication (see wire.py)
--       Numbers are from 1, and integers of several bytes big-endian: one argument for many costs
--       a tenth of one for each.
-- Returns  {publications for just the nodes that have members, publications for all nodes because
--           a registry can't be trusted, messages published, how many had been published before,
--           the head of each publication (see wire.py); all are 0 where it had been,
--           how many channels, known keys and mended groups are below,
--           then group number and name of each normal channel that is a member,
--           then number, offset and epoch of each publication whose idempotency key is known,
--           then the number of each group whose history could not go on and began anew,
--           then number of each publication that failed, and why. What is behind a failed one from the
--           same source fails with it: its mark would hide that one is missing}
--
-- Lua does not roll back. So all that may hold a wrong type is read before the first publication is
-- appended, and the call then fails as a whole, with nothing published. Appending alone may fail
-- later: a history of a wrong type, or one that is ahead of its meta. It fails for its own group
-- only, whose history is removed and begins anew, under a new epoch.
--
-- An entry of a history has the publication's offset as its id and two or three fields, in this
-- order: 'p', the body; 't', when it was published; and if it has a source, that one's name and the
-- record's offset, with the index behind it if there is one. Releases that know only the first field
-- read it all the same. The source names the field, not a value: a stream stores the names of the
-- fields once for many entries that have the same.

-- Locals cost less than globals and their fields.
local KEYS, ARGV = KEYS, ARGV
local call, try, byte, format = redis.call, redis.pcall, string.byte, string.format
local pack, unpacked = struct.pack, struct.unpack

local FIXED = 15  -- arguments before those of the shards
local PER_SHARD = 4
local OF_SHARD = '\12\0'  -- an entry's body that says whose the next entries are, see wire.py
local NO_EPOCH = '\0\0\0\0\0\0\0\0'
local CHANNEL_MARK = byte('#')

local REPEATED = pack('>I8c8I4', 0, NO_EPOCH, 0)  -- an entry's head
local META = '^(%d+) (%S%S%S%S%S%S%S%S) (.*)$'  -- an epoch has 8 characters: see the heads
local SPAN = 1099511627776  -- offsets of one generation, see restarts.py
local LARGEST = 9007199254740992  -- how far a double counts
local CUTS_LENGTH = 100  -- characters of the ends of earlier generations; older ones go
local TRIMMED = 2  -- publications of a room after which its history is trimmed: an XADD without
                   -- MAXLEN costs a tenth less, which is what the time of an entry costs
-- Times are tenths of seconds since then: until March 2040 they fit into 32 bits, which a stream
-- stores in 6 bytes. Milliseconds would take 10.
local TIMES_BEGIN = 2000000000  -- Unix seconds

local function number_at(list, index)
  local high, low = byte(list, 2 * index - 1, 2 * index)
  return 256 * high + low
end

local number, lease_ttl = ARGV[1], tonumber(ARGV[2])
local shards, policies, groups = tonumber(ARGV[8]), tonumber(ARGV[9]), #ARGV[10] / 4

-- What stands before the first key, or argument, of each kind.
local metas = 1 + 3 * shards
local registries = metas + groups
local rooms = registries + 2 * shards
local onces = rooms + 2 * groups
local policy_args = FIXED + PER_SHARD * shards
local source_args = policy_args + 3 * policies

-- A batch whose answer was lost is answered again and not applied again.
local state = call('MGET', unpack(KEYS, 1, registries))
if state[1] then
  local last, answer = string.match(state[1], '^(%d+) (.*)$')
  if last == number then
    local is_whole, reply = pcall(cmsgpack.unpack, answer)
    if is_whole then
      return reply
    end
  end
  if tonumber(last or '0') > tonumber(number) then
    return redis.error_reply('STALE a later batch of this writer was published')
  end
end

local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local time = format('%d', (clock[1] - TIMES_BEGIN) * 10 + math.floor(clock[2] / 100000))

-- What the registry of each shard says, and what was taken from each of its sources.
local outboxes, everything, trusted, percent, life = {}, {}, {}, {}, {}
local taken_offset, taken_index, sources = {}, {}, {}
local bodies = source_args
for s = 1, shards do
  local born = tonumber(state[3 * s - 1] or nil)
  percent[s] = tonumber(state[3 * s] or nil) or 100
  life[s] = state[3 * s + 1] or ''

  -- Nodes whose lease ended are forgotten; what remains are the outboxes.
  local alive = KEYS[registries + 2 * s - 1]
  local boxes, any_alive, any_dead = {}, false, false
  local leases = call('ZRANGE', alive, 0, -1, 'WITHSCORES')
  for i = 1, #leases, 2 do
    if tonumber(leases[i + 1]) > now then
      boxes[leases[i]] = {}
      any_alive = true
    else
      any_dead = true
    end
  end
  if any_dead then
    call('ZREMRANGEBYSCORE', alive, '-inf', format('%d', now))
  end
  outboxes[s], everything[s] = boxes, {}

  -- A registry that was found new less than a lease ago may still lack nodes: publish to all.
  if not born then
    born = now
    call('SET', KEYS[3 * s - 1], format('%d', now))
  end
  trusted[s] = any_alive and now - born >= lease_ttl

  local offsets, indices, count = {}, {}, tonumber(ARGV[FIXED + PER_SHARD * s - 1])
  if count > 0 then
    local marks = call('HMGET', KEYS[registries + 2 * s], unpack(ARGV, bodies + 1, bodies + count))
    for i = 1, count do
      local at, index = string.match(marks[i] or '', '^(%d+) (%d+)$')
      offsets[i], indices[i] = tonumber(at or '-1'), tonumber(index or '0')
    end
  end
  taken_offset[s], taken_index[s], sources[s] = offsets, indices, bodies
  bodies = bodies + count
end

local home, size, ttl, offset, epoch, nodes, channels = {}, {}, {}, {}, {}, {}, {}
local keepers, newest = {}, {}  -- the groups that keep their newest publication, and that
local tail = {}  -- of each group's meta: the life, and where earlier generations ended
for g = 1, groups do
  local s, policy = number_at(ARGV[10], 2 * g - 1), number_at(ARGV[10], 2 * g)
  home[g], size[g], ttl[g] = s, ARGV[policy_args + 3 * policy - 2], ARGV[policy_args + 3 * policy - 1]
  if ARGV[policy_args + 3 * policy] == '1' then
    keepers[#keepers + 1] = g
    newest[g] = ''
  end
  local keeps = tonumber(size[g])
  if keeps > 0 then
    local last, counted, rest = string.match(state[metas + g] or '', META)
    local at = tonumber(last or nil)
    tail[g] = life[s]
    if at and rest ~= life[s] then
      local of, cuts = string.match(rest, '^(%S*) ?(%S*)$')
      if of == life[s] then
        tail[g] = rest
      else
        -- Offsets that the server may have lost are never given again: the count leaps over them.
        -- Where nothing is known to be lost it is written down where the generation ended.
        local n = at % SPAN
        at = at - n + SPAN + n
        if string.sub(life[s], -1) ~= '!' then
          cuts = (cuts and cuts ~= '' and cuts .. ',' or '') .. format('%d', n)
          if #cuts > CUTS_LENGTH then
            cuts = string.match(cuts, ',(.*)$')
          end
          tail[g] = life[s] .. ' ' .. cuts
        end
      end
    end
    if at and at < LARGEST then
      offset[g], epoch[g] = at, counted
    else
      -- A new epoch counts from 1 again, which the stream of an older one would refuse.
      offset[g], epoch[g], tail[g] = 0, ARGV[6], life[s]
      call('DEL', KEYS[rooms + 2 * g])
    end
  else
    epoch[g] = NO_EPOCH
  end
  if keeps >= 0 then
    local key, boxes, interested = KEYS[rooms + 2 * g - 1], outboxes[s], {}
    local members = call('HGETALL', key)
    for i = 1, #members, 2 do
      local member = members[i]
      local outbox = boxes[member]
      if outbox then
        interested[#interested + 1] = outbox
      elseif byte(member) == CHANNEL_MARK then
        if (tonumber(members[i + 1]) or 0) > now then
          channels[#channels + 1] = g
          channels[#channels + 1] = string.sub(member, 2)
        else
          call('HDEL', key, member)
        end
      elseif trusted[s] then
        call('HDEL', key, member)
      end
    end
    -- Which rooms are told to all nodes all the same, while targeted dispatch is rolled out.
    if trusted[s] and (percent[s] >= 100
        or tonumber(string.sub(redis.sha1hex(key), 1, 8), 16) % 100 < percent[s]) then
      nodes[g] = interested
    end
  end
end

-- What each idempotency key stands for.
local answers = {}
local latests = #KEYS - #keepers
if latests > onces then
  answers = call('MGET', unpack(KEYS, onces + 1, latests))
  for i = 1, #answers do
    answers[i] = answers[i] and string.find(answers[i], '^%d+ ') and answers[i]
  end
end

local prefaces = ARGV[14] ~= '' and cmsgpack.unpack(ARGV[14])
local heads, repeats = {}, {}
local mended, failed, failures, stopped  -- made when something fails
local nothing_appended = true
local targeted, fallback, repeated = 0, 0, 0
local numbers, details = ARGV[11], ARGV[12]
for i = 1, #ARGV - bodies do
  local high, low = byte(numbers, 2 * i - 1, 2 * i)
  local g, body = 256 * high + low, ARGV[bodies + i]
  local s = home[g]
  local taken_at, taken_in = taken_offset[s], taken_index[s]
  local source, record, index, key = 0, 0, 0, 0
  if details ~= '' then
    source, record, index, key = unpacked('>I2i8i8I2', details, 20 * i - 19)
  end
  local at, why = 0, failed and (failed[g] or source > 0 and stopped[65536 * s + source])
  if why then
    at = nil
  elseif source > 0 and (record < taken_at[source]
      or record == taken_at[source] and index <= taken_in[source]) then
    heads[i] = REPEATED
    repeated = repeated + 1
    at = nil
  elseif key > 0 and answers[key] then
    local before, counted = string.match(answers[key], '^(%d+) (.*)$')
    heads[i] = REPEATED
    repeated = repeated + 1
    repeats[#repeats + 1] = i
    repeats[#repeats + 1] = tonumber(before)
    repeats[#repeats + 1] = counted
    at = nil
  elseif offset[g] then
    at = offset[g] + 1
    local added
    local history, id = KEYS[rooms + 2 * g], format('%d-0', at)
    if source > 0 then
      local name = ARGV[sources[s] + source]
      local place = index > 0 and format('%d %d', record, index) or format('%d', record)
      if at % TRIMMED == 0 then
        added = try('XADD', history, 'MAXLEN', '~', size[g], id, 'p', body, 't', time, name, place)
      else
        added = try('XADD', history, id, 'p', body, 't', time, name, place)
      end
    elseif at % TRIMMED == 0 then
      added = try('XADD', history, 'MAXLEN', '~', size[g], id, 'p', body, 't', time)
    else
      added = try('XADD', history, id, 'p', body, 't', time)
    end
    if type(added) == 'table' then
      why = added.err
      if string.find(why, '^WRONGTYPE') or string.find(why, ' ID ', 1, true) then
        -- The history begins anew; `why` says why it can't either.
        added = try('UNLINK', history)
        if type(added) ~= 'table' then
          added = try('XADD', history, '1-0', 'p', body, 't', time)
        end
        why = type(added) == 'table' and added.err
      elseif nothing_appended then  -- refused to everybody, as while the server's memory is full
        return redis.error_reply(why)
      end
      if not failed then
        mended, failed, failures, stopped = {}, {}, {}, {}
      end
      if why then
        at, failed[g] = nil, why
      else
        at, epoch[g], tail[g] = 1, ARGV[6], life[s]
        mended[#mended + 1] = g
      end
    end
    if at then
      offset[g] = at
      nothing_appended = false
    end
  end
  if at then
    local head = pack('>I8c8I4', at, epoch[g], #body)
    heads[i] = head
    if newest[g] then
      newest[g] = head .. body
    end
    if prefaces and prefaces[i] then
      head = prefaces[i] .. head
    end
    if nodes[g] then
      targeted = targeted + 1
      local told = nodes[g]
      for n = 1, #told do
        local outbox = told[n]
        local length = #outbox
        outbox[length + 1] = head
        outbox[length + 2] = body
      end
    else
      if size[g] ~= '-1' and not trusted[s] then
        fallback = fallback + 1
      end
      local all = everything[s]
      all[#all + 1] = head
      all[#all + 1] = body
    end
    if source > 0 then
      taken_at[source], taken_in[source] = record, index
    end
    if key > 0 then
      answers[key] = format('%d ', at) .. (at > 0 and epoch[g] or '')
      call('SET', KEYS[onces + key], answers[key], 'PX', ARGV[7])
    end
  elseif why then
    heads[i] = REPEATED
    failures[#failures + 1] = i
    failures[#failures + 1] = why
    if source > 0 then
      stopped[65536 * s + source] = why  -- what is behind it would hide that it is missing
    end
  end
end

-- Anybody may publish to a new name: it is remembered for long only if it is used on.
local longest, each = tonumber(ARGV[4]), tonumber(ARGV[13])
for g = 1, groups do
  if offset[g] and not (failed and failed[g]) then
    local meta_ttl, earned = ARGV[4], offset[g] % SPAN * each
    if each > 0 and earned < longest and not newest[g] then
      earned = math.min(longest, math.max(tonumber(ttl[g]), earned))
      -- As text: Redis prints a number for its commands with 17 digits, which costs as much as a SET.
      meta_ttl = format('%d', earned)
    end
    call('SET', KEYS[metas + g],
               format('%d ', offset[g]) .. epoch[g] .. ' ' .. tail[g], 'PX', meta_ttl)
    call('PEXPIRE', KEYS[rooms + 2 * g], ttl[g])
  end
end
for i, g in ipairs(keepers) do
  if newest[g] ~= '' then
    call('SET', KEYS[latests + i], newest[g], 'PX', ARGV[4])
  end
end

-- Each message is the node that it is to, '' for all of them, and then for each of its shards a
-- channel, what goes there, and the shard's number.
local messages, first_of = {}, {}
local joint = ARGV[15] ~= ''
for s = 1, shards do
  local at = FIXED + PER_SHARD * s
  local count = tonumber(ARGV[at - 1])
  for i = 1, count do
    if taken_offset[s][i] >= 0 then
      call('HSET', KEYS[registries + 2 * s], ARGV[sources[s] + i],
                 format('%d %d', taken_offset[s][i], taken_index[s][i]))
    end
  end
  if count > 0 then
    call('PEXPIRE', KEYS[registries + 2 * s], ARGV[4])
  end
  for node, outbox in pairs(outboxes[s]) do
    if #outbox > 0 then
      local channel, content = ARGV[at - 3] .. node, table.concat(outbox)
      local message = joint and first_of[node]
      if message then
        message[#message + 1] = channel
        message[#message + 1] = content
        message[#message + 1] = ARGV[at]
      else
        message = {node, channel, content, ARGV[at]}
        messages[#messages + 1] = message
        first_of[node] = message
      end
    end
  end
  if #everything[s] > 0 then
    messages[#messages + 1] = {'', ARGV[at - 2], table.concat(everything[s]), ARGV[at]}
  end
end

local reply = {targeted, fallback, #messages, repeated, table.concat(heads),
               #channels / 2, #repeats / 3, mended and #mended or 0}
if #channels > 0 or #repeats > 0 or failed then
  for _, list in ipairs({channels, repeats, mended, failures}) do
    for i = 1, #list do
      reply[#reply + 1] = list[i]
    end
  end
end

-- Remembered before it is told: a server that refuses to write (its memory is full, its disk, too
-- few replicas) still publishes, and each retry would be heard once more.
call('SET', KEYS[1], number .. ' ' .. cmsgpack.pack(reply), 'PX', ARGV[3])
for _, message in ipairs(messages) do
  local heard = 0
  if #message > 4 then
    local pieces = {ARGV[5]}
    for i = 2, #message, 3 do
      pieces[#pieces + 1] = pack('>I8c8I4', tonumber(message[i + 2]), NO_EPOCH, 2) .. OF_SHARD
      pieces[#pieces + 1] = message[i + 1]
    end
    heard = call('SPUBLISH', ARGV[15] .. message[1], table.concat(pieces))
  end
  if heard == 0 then  -- of one shard; or the node is of a release before there was that channel
    for i = 2, #message, 3 do
      call('SPUBLISH', message[i], ARGV[5] .. message[i + 1])
    end
  end
end
return reply
