-- Registers a node as one that has members of a group, and answers where the group stands.
--
-- KEYS  1 alive   2 born   3 nodes   4 meta   5 history   6 life
-- ARGV  1 node    2 lease TTL, ms    3 members on the node
--       4 1 if the group keeps history, else 0   5 an epoch if it needs one  6 meta TTL, ms
--       7 1 to answer what was missed, else 0    8 the last offset had   9 its epoch ('': any)
--       10 how many publications to answer at most: the oldest, who wants the rest asks again
--       11 1 if the node is in the group already and ARGV[8] is where its members are, else 0
--       12 how long the epoch is kept while nothing was published, ms: anybody may join any name
--       13 how many bytes of publications to answer at most
--       14 how many publications to answer however large they are: 0 or 1
--       15 for how long the meta is kept for each publication that the group had, ms, at most for
--          the meta TTL; 0: for the meta TTL
-- Returns  {1 if the node's lease still ran else 0, epoch ('' without history), offset,
--           1 if nothing is missing between ARGV[8] and where the answer begins, else 0; -1 if the
--           history held what the layer never puts there, and was removed,
--           the offset behind which it begins,
--           then offset and body of each publication after it}

local CHUNK = 16  -- entries read at a time; those that the page can't hold were read in vain
local OVERHEAD = 20  -- bytes that an entry counts for beside its body

local function meta_ttl(last)
  local most, each = tonumber(ARGV[6]), tonumber(ARGV[15])
  return each == 0 and most or math.min(most, math.max(tonumber(ARGV[12]), last * each))
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('SET', KEYS[2], string.format('%.0f', now), 'NX')
local born = tonumber(redis.call('MGET', KEYS[2])[1] or '') or now
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0')
local leased = ends > now and ends - tonumber(ARGV[2]) >= born and 1 or 0
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])

if ARGV[4] == '0' then
  return {leased, '', 0, 0, 0}
end

local state = redis.call('MGET', KEYS[4], KEYS[6])
local life = state[2] or ''
local last, epoch, of = string.match(state[1] or '', '^(%d+) (%S%S%S%S%S%S%S%S) (.*)$')
if last and #last > 15 then  -- no offset that was counted: see publish.lua
  last, epoch = nil, nil
end
local offset = tonumber(last or '0')
if not epoch then
  redis.call('DEL', KEYS[5])
end

-- Offsets that the server has lost will be given again. They must not pass for the same ones: who
-- had the lost ones would be told that nothing is missing.
local behind = ARGV[11] == '1' and ARGV[9] == epoch and tonumber(ARGV[8]) > offset
if not epoch or behind or of ~= life then
  epoch = ARGV[5]
end
redis.call('SET', KEYS[4], string.format('%.0f %s %s', offset, epoch, life),
           'PX', offset > 0 and meta_ttl(offset) or ARGV[12])

if ARGV[7] == '0' then
  return {leased, epoch, offset, 0, offset}
end

local since = tonumber(ARGV[8])
local same_epoch = ARGV[9] == '' or ARGV[9] == epoch
if same_epoch and since == offset then
  return {leased, epoch, offset, 1, offset}
end

-- What another epoch counted can't be compared, so then all that is held is what may be missing.
if not same_epoch or since > offset then
  since = 0
end
local limit, most, least = tonumber(ARGV[10]), tonumber(ARGV[13]), tonumber(ARGV[14])
local reply = {leased, epoch, offset, 0, 0}
local at, first, count, size, chunk = since, nil, 0, 0, 1
repeat
  local wanted = math.min(chunk, limit - count)
  local held = redis.call('XRANGE', KEYS[5], string.format('(%.0f-0', at), '+', 'COUNT', wanted)
  local is_full = #held < wanted
  for i = 1, #held do
    local body = held[i][2][2]
    local kind, length = string.byte(body, 1, 2)
    at = tonumber(string.match(held[i][1], '^(%d+)-0$'))
    if not at or at > offset or kind ~= 0 or #body < 2 + (length or #body) then
      -- Written by somebody else: of what was held nothing can be told from it any more.
      redis.call('UNLINK', KEYS[5])
      redis.call('SET', KEYS[4], string.format('%.0f %s %s', offset, ARGV[5], life),
                 'PX', offset > 0 and ARGV[6] or ARGV[12])
      return {leased, ARGV[5], offset, -1, offset}
    end
    first = first or at
    size = size + #body + OVERHEAD
    if size > most and count >= least then
      is_full = true
      break
    end
    reply[#reply + 1] = at
    reply[#reply + 1] = body
    count = count + 1
  end
  chunk = math.min(2 * chunk, CHUNK)
until is_full or count == limit

first = first or offset + 1
if same_epoch and tonumber(ARGV[8]) <= offset and first == tonumber(ARGV[8]) + 1 then
  reply[4] = 1
end
reply[5] = first - 1
return reply
