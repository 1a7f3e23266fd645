-- Reads a page of a group's history, the newest publications first.
--
-- KEYS  1 meta   2 history
-- ARGV  1 how many publications to answer at most
--       2 the offset before which they stand; 0: the newest
--       3 how many bytes of them to answer at most; one that is larger is answered alone
-- Returns  {the group's last offset, its epoch ('' if it has none), 1 if older ones are held else 0,
--           then offset and body of each publication}

local CHUNK = 16  -- entries read at a time; those that the page can't hold were read in vain
local OVERHEAD = 20  -- bytes that an entry counts for beside its body

local last, epoch = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%S%S%S%S%S%S%S%S) ')
local reply = {tonumber(last or '0'), epoch or '', 0}
if not epoch then
  return reply
end

local limit, before, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local from = before > 0 and string.format('(%.0f-0', before) or '+'
local count, size, chunk = 0, 0, 1
while true do
  local held = redis.call('XREVRANGE', KEYS[2], from, '-', 'COUNT', chunk)
  for i = 1, #held do
    local body = held[i][2][2]
    size = size + #body + OVERHEAD
    if count == limit or size > most and count > 0 then
      reply[3] = 1
      return reply
    end
    reply[#reply + 1] = tonumber(string.match(held[i][1], '^%d+'))
    reply[#reply + 1] = body
    count = count + 1
  end
  if #held < chunk then
    return reply
  end
  from = '(' .. held[#held][1]
  chunk = math.min(2 * chunk, CHUNK, limit - count + 1)
end
