-- ARGV: 2 openid
if not alive() or get('st') ~= 'done' or get('oid') ~= ARGV[2] then return answer('unknown') end
set('rev', '1')
return answer('known')
