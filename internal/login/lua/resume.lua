-- ARGV: 2 hash of the resume secret, 3 socket id, 4 raw
if not alive() or not same(get('rh'), ARGV[2]) then return answer('unknown') end
set('sid', ARGV[3], 'raw', ARGV[4])
return answer('known')
