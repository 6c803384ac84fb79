-- ARGV: 2 openid
if not alive() or get('st') ~= 'claimed' or get('oid') ~= ARGV[2] then return answer('unknown') end
set('ask', '1')
return answer('known')
