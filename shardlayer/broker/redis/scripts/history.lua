-- Reads a page of a group's history, the newest publications first.
--
-- KEYS  1 meta   2 history
-- ARGV  1 how many publications to answer at most
--       2 the offset before which they stand; 0: the newest
--       3 how many bytes of them to answer at most; one that is larger is answered alone
-- Returns  {the group's last offset, its epoch ('' if it has none), 1 if older ones are held else 0,
--           then offset and body of each publication, when it was published, the name of its source
--           and where it stands in that one, as publish.lua writes them; '' where that is not known}

local CHUNK = 16  -- entries read at a time; those that the page can't hold were read in vain
local OVERHEAD = 20  -- bytes that an entry counts for beside its body

local meta = redis.call('MGET', KEYS[1])[1] or ''  -- nothing, too, if it is of a wrong type
local last, epoch = string.match(meta, '^(%d+) (%S%S%S%S%S%S%S%S) ')
if last and #last > 16 then  -- no offset that was counted: see publish.lua
  last, epoch = nil, nil
end
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
    local fields = held[i][2]
    local at, body = tonumber(string.match(held[i][1], '^(%d+)-0$')), fields[2]
    local kind, length = string.byte(body, 1, 2)
    -- What somebody else wrote is left out.
    if at and kind == 0 and #body >= 2 + (length or #body) then
      size = size + #body + OVERHEAD
      if count == limit or size > most and count > 0 then
        reply[3] = 1
        return reply
      end
      reply[#reply + 1] = at
      reply[#reply + 1] = body
      reply[#reply + 1] = fields[3] == 't' and fields[4] or ''
      reply[#reply + 1] = fields[5] or ''
      reply[#reply + 1] = fields[6] or ''
      count = count + 1
    end
  end
  if #held < chunk then
    return reply
  end
  from = '(' .. held[#held][1]
  chunk = math.min(2 * chunk, CHUNK, limit - count + 1)
end
