-- Registers a node as one that has members of a group, and answers where the group stands.
--
-- KEYS  1 alive   2 born   3 nodes   4 meta   5 history   6 life
--       7 the newest publication, of a group that keeps it
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
--           the newest publication if it is kept and there is one, else '',
--           then offset and body of each publication after it}

local CHUNK = 16  -- entries read at a time; those that the page can't hold were read in vain
local OVERHEAD = 20  -- bytes that an entry counts for beside its body
local SPAN = 1099511627776  -- offsets of one generation, see restarts.py
local LARGEST = 9007199254740992  -- how far a double counts
local CUTS_LENGTH = 100  -- characters of the ends of earlier generations; older ones go

-- The generation of an offset, and its number in the room's count.
local function parts(offset)
  local number = offset % SPAN
  return (offset - number) / SPAN, number
end

-- Where the generation ended that was so many before this one; nil if that is not known.
local function cut_before(cuts, generations)
  local ends = {}
  for number in string.gmatch(cuts, '%d+') do
    ends[#ends + 1] = tonumber(number)
  end
  return ends[#ends + 1 - generations]
end

-- The newest publication of a count, unless it is one that the server has lost since.
local function newest(epoch, offset)
  local entry = KEYS[7] and redis.call('MGET', KEYS[7])[1]
  if not entry or #entry < 20 then
    return ''
  end
  local at, counted = struct.unpack('>I8c8', entry)
  return counted == epoch and at <= offset and entry or ''
end

local function meta_ttl(last)
  local most, each = tonumber(ARGV[6]), tonumber(ARGV[15])
  return (each == 0 or KEYS[7]) and most or math.min(most, math.max(tonumber(ARGV[12]), last * each))
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
  return {leased, '', 0, 0, 0, ''}
end

local state = redis.call('MGET', KEYS[4], KEYS[6])
local life = state[2] or ''
local last, epoch, of, cuts = string.match(state[1] or '',
                                           '^(%d+) (%S%S%S%S%S%S%S%S) (%S*) ?(%S*)$')
local offset = tonumber(last or '0')
if epoch and of ~= life then
  -- As in publish.lua: what may be lost is leapt over.
  local generation, number = parts(offset)
  offset = (generation + 1) * SPAN + number
  if string.sub(life, -1) == '!' then
    cuts = ''
  else
    cuts = (cuts ~= '' and cuts .. ',' or '') .. string.format('%.0f', number)
    if #cuts > CUTS_LENGTH then
      cuts = string.match(cuts, ',(.*)$')
    end
  end
end
if not epoch or offset >= LARGEST then
  redis.call('DEL', KEYS[5])
  epoch, offset, cuts = ARGV[5], 0, ''
end

-- What another epoch counted can't be compared, nor what comes from before something was lost.
local since = tonumber(ARGV[8])
local same_epoch = ARGV[9] == '' or ARGV[9] == epoch
local generation, number = parts(offset)
local its_generation, its_number = parts(since)
local is_comparable, is_ahead = same_epoch, false
if same_epoch and its_generation < generation then
  local cut = cut_before(cuts, generation - its_generation)
  is_comparable = cut ~= nil
  is_ahead = is_comparable and its_number > cut
elseif same_epoch then
  is_ahead = since > offset
end
if is_ahead then
  is_comparable = false
  if ARGV[11] == '1' and ARGV[9] ~= '' then
    -- The node's members have what the server has lost. Everybody in the room is told, since
    -- nobody knows who else had it.
    generation, cuts = math.max(generation, its_generation) + 1, ''
    offset = generation * SPAN + number
  end
end
redis.call('SET', KEYS[4],
           string.format('%.0f %s %s', offset, epoch, cuts ~= '' and life .. ' ' .. cuts or life),
           'PX', number > 0 and meta_ttl(number) or ARGV[12])

local latest = newest(epoch, offset)
if ARGV[7] == '0' then
  return {leased, epoch, offset, 0, offset, latest}
end

if is_comparable and its_number == number then
  return {leased, epoch, offset, 1, offset, latest}
end

-- Of another epoch all that is held is what may be missing.
if not same_epoch or since > offset then
  since = 0
end
local limit, most, least = tonumber(ARGV[10]), tonumber(ARGV[13]), tonumber(ARGV[14])
local reply = {leased, epoch, offset, 0, 0, latest}
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
                 'PX', number > 0 and meta_ttl(number) or ARGV[12])
      return {leased, ARGV[5], offset, -1, offset, ''}
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
local _, first_number = parts(first)
if is_comparable and first_number == its_number + 1 then
  reply[4] = 1
end
reply[5] = first - 1
return reply
