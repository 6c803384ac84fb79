-- ARGV: 2 hash of the code, 3 challenge, 4 how long it may be repeated, 5 wrong tries that burn it
if not alive() or get('code') ~= ARGV[2] or get('rev') ~= '' then return answer('unknown') end
if not same(get('ch'), ARGV[3]) then
  local tries = num('try') + 1
  set('try', ms(tries))
  if tries >= tonumber(ARGV[5]) then set('code', '') end
  return answer('unknown')
end
if get('xat') ~= '' then
  return answer(now <= num('xat') + ARGV[4] and 'known' or 'unknown')
end
if now > num('cend') then return answer('unknown') end
set('xat', ms(now), 'del', '1')
return answer('known')
