-- ARGV: 2 hash of the resume secret, 3 socket id, 4 raw
if not alive() or not same(get('rh'), ARGV[2]) then return answer('unknown') end
local before = get('sid')
set('sid', ARGV[3], 'raw', ARGV[4])
local a = answer('known')
table.insert(a[4], 'was') -- in the answer only
table.insert(a[4], before)
return a
