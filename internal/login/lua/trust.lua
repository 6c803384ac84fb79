-- KEYS[1] as in weigh.lua. ARGV: 2 network, 3 browser, 4 how long they are known, 5 how many of each
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end -- forgotten meanwhile

local function remember(kind, mark)
  if mark == '' then return end
  set(kind .. mark, ms(now + ARGV[4]))
  local count, oldest = 0, kind .. mark
  for i, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 2) == kind then
      count = count + 1
      if num(field) < num(oldest) then oldest = field end
    end
  end
  if count > tonumber(ARGV[5]) then redis.call('HDEL', KEYS[1], oldest) end
end

remember('n:', ARGV[2])
remember('b:', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return ''
