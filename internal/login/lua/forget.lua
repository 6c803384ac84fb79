-- ARGV: 2 openid, 3 what stands for a forgotten one
local openid = get('oid')
if not alive() or (openid ~= ARGV[2] and openid ~= ARGV[3]) then return answer('unknown') end
if openid == ARGV[2] then
  if get('st') == 'claimed' then move('denied', 'left') end
  if get('st') == 'done' then set('rev', '1') end
  set('oid', ARGV[3], 'uid', '')
end
return answer('known')
