-- KEYS[1] is what is remembered of a person: each field a mark, its value when it ends.
-- ARGV: 2 ticket, 3 network, 4 browser, 5 how long a login counts, 6 how many are usual
local logins = 0
for i, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if num(field) <= now then
    redis.call('HDEL', KEYS[1], field)
  elseif string.sub(field, 1, 2) == 't:' then
    logins = logins + 1
  end
end
if get('t:' .. ARGV[2]) == '' then
  if logins >= tonumber(ARGV[6]) then return 'often' end
  set('t:' .. ARGV[2], ms(now + ARGV[5]))
end
redis.call('PEXPIRE', KEYS[1], ms(math.max(redis.call('PTTL', KEYS[1]), ARGV[5])))
if ARGV[3] == '' or get('n:' .. ARGV[3]) == '' then return 'network' end
if ARGV[4] == '' or get('b:' .. ARGV[4]) == '' then return 'browser' end
return ''
