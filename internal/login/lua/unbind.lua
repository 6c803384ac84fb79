-- ARGV: 2 socket id
if not alive() then return answer('unknown') end
if get('sid') == ARGV[2] then set('sid', '') end
return answer('known')
