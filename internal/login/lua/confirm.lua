-- ARGV: 2 openid, 3 yes or no
if not alive() or get('oid') == '' then return answer('unknown') end
if get('oid') ~= ARGV[2] then return answer('taken') end
local state = get('st')
if state == 'done' then return answer('same') end
if state ~= 'claimed' then return answer(state) end
if now > num('exp') then
  move('expired', 'confirm_timeout')
  return answer('expired')
end
if ARGV[3] ~= '1' then
  move('denied', 'denied')
  return answer('denied')
end
move('done', 'confirmed')
set('iat', ms(now))
return answer('claimed')
