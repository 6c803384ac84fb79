-- ARGV: 2 the state to end in, 3 reason, 4 grace, 5 the socket that wants it, '' for none
if not alive() then return answer('unknown') end
if ARGV[5] ~= '' and get('sid') ~= ARGV[5] then return answer('known') end
local state, over = get('st'), num('exp')
if state == 'waiting' then over = over + ARGV[4] end
if (state == 'waiting' or state == 'claimed') and (ARGV[2] ~= 'expired' or now > over) then
  move(ARGV[2], ARGV[3])
end
return answer('known')
