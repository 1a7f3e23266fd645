-- Takes who has come to a node's rooms and who has left them, and tells the nodes of these rooms.
--
-- KEYS  1 present   2 the node's `here`   3 alive   then for each room: people, nodes
-- ARGV  1 node
--       2 'announce': the node says so itself; 'clear': only if it has no lease; 'end': in any case
--       3 the announcement's number, one more than that of the one before; of 'clear' how long before
--         its end a lease counts as over, ms; else ''
--       4 inbox prefix   5 the wire version byte and the kind's byte
--       then for each room: its name, how many changes
--       then each change, room by room: '+' or '-', and an entry without its room (presence_scripts.py)
-- Returns  {1 if the shard has all that was announced before, or the node has no lease; else 0,
--           then for each room that turned: its number, 1 if somebody is in it now or 0 if nobody is}
--
-- A change that was made already changes nothing, so a change may come again at any time.
--
-- All that may hold a wrong type is read before the first write, and the call then fails as a whole.

local NO_EPOCH = string.rep('\0', 8)
local CHANNEL_MARK = string.byte('#')
local CAME = string.byte('+')
local FIXED = 5  -- arguments before those of the rooms

local node, mode, number = ARGV[1], ARGV[2], ARGV[3]
local rooms = (#KEYS - 3) / 2
local known = 1
if mode == 'announce' then
  local last, answer = string.match(redis.call('HGET', KEYS[1], node) or '0 ', '^(%d+) (.*)$')
  if last == number then
    local is_whole, reply = pcall(cmsgpack.unpack, answer)
    if is_whole then
      return reply
    end
  end
  known = last and tonumber(last) + 1 == tonumber(number) and 1 or 0
elseif mode == 'clear' then
  local clock = redis.call('TIME')
  local ends = redis.call('ZSCORE', KEYS[3], node)
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  if ends and tonumber(ends) > now + tonumber(number) then
    return {0}
  end
end

local before = {}
for r = 1, rooms do
  before[r] = redis.call('HLEN', KEYS[2 + 2 * r])
end
redis.call('ZCARD', KEYS[2])
if mode ~= 'announce' then
  redis.call('HSET', KEYS[1], node, '-')  -- should the node be there after all, it finds out
end

-- Adds to how many connections a person has; what somebody else wrote there counts for nothing.
local function add(people, person, more)
  local count = redis.pcall('HINCRBY', people, person, more)
  if type(count) == 'table' then
    redis.call('HSET', people, person, '1')
    return 1
  end
  return count
end

local reply, messages, change = {known}, {}, FIXED + 2 * rooms
for r = 1, rooms do
  local room, people = ARGV[FIXED + 2 * r - 1], KEYS[2 + 2 * r]
  local prefix, count, events = room .. '\0', before[r], {}
  for i = change + 1, change + tonumber(ARGV[FIXED + 2 * r]) do
    local sign, entry = string.byte(ARGV[i]), string.sub(ARGV[i], 2)
    local person, told, info = string.match(entry, '^(%Z+)%z(.)%Z*%z(.*)$')
    local has_turned
    if sign == CAME then
      has_turned = redis.call('ZADD', KEYS[2], 0, prefix .. entry) == 1
        and add(people, person, 1) == 1
      count = has_turned and count + 1 or count
    else
      has_turned = redis.call('ZREM', KEYS[2], prefix .. entry) == 1
        and add(people, person, -1) <= 0
      if has_turned then
        redis.call('HDEL', people, person)
        count, info = count - 1, ''
      end
    end
    if has_turned and told == '!' then
      events[#events + 1] = struct.pack('>BI2', sign, #person) .. person
        .. struct.pack('>I2', #info) .. info
    end
  end
  change = change + tonumber(ARGV[FIXED + 2 * r])
  if (count > 0) ~= (before[r] > 0) then
    reply[#reply + 1] = r
    reply[#reply + 1] = count > 0 and 1 or 0
  end
  if #events > 0 then
    local body = string.sub(ARGV[5], 2) .. string.char(#room) .. room
      .. struct.pack('>I4', math.max(count, 0)) .. table.concat(events)
    local message = struct.pack('>I8c8I4', 0, NO_EPOCH, #body) .. body
    for _, member in ipairs(redis.call('HKEYS', KEYS[3 + 2 * r])) do
      if string.byte(member) ~= CHANNEL_MARK then
        messages[member] = (messages[member] or string.sub(ARGV[5], 1, 1)) .. message
      end
    end
  end
end

if mode == 'announce' then
  redis.call('HSET', KEYS[1], node, number .. ' ' .. cmsgpack.pack(reply))
elseif redis.call('ZCARD', KEYS[2]) == 0 then
  redis.call('HDEL', KEYS[1], node)
end
for member, message in pairs(messages) do
  redis.call('SPUBLISH', ARGV[4] .. member, message)
end
return reply
