-- ARGV: 2 openid, 3 unionid
if not alive() or get('st') ~= 'done' or get('oid') ~= ARGV[2] then return answer('unknown') end
if get('uset') == '' then set('uid', ARGV[3], 'uset', '1') end
return answer('known')
