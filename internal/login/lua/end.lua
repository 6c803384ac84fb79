-- ARGV: 2 the state to end in, 3 reason, 4 grace
if not alive() then return answer('unknown') end
local state, over = get('st'), num('exp')
if state == 'waiting' then over = over + ARGV[4] end
if (state == 'waiting' or state == 'claimed') and (ARGV[2] ~= 'expired' or now > over) then
  move(ARGV[2], ARGV[3])
end
return answer('known')
