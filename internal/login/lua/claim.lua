-- ARGV: 2 appid, 3 openid, 4 unionid, 5 confirm, 6 age of the event, 7 jti if it wins,
--       8 grace, 9 time to confirm, 10 tail, 11 risk, 12 time of the event, 0 for its arrival
if not alive() then return answer('unknown') end
if get('app') ~= ARGV[2] then return answer('foreign') end
local state, openid = get('st'), get('oid')

-- An expired ticket that nobody claimed may still be claimed by an event that
-- arrived in time and was spooled while this server was away.
if state == 'waiting' or (state == 'expired' and openid == '') then
  if now - ARGV[6] > num('exp') + ARGV[8] then
    if state == 'waiting' then move('expired', 'late') end
    return answer('expired')
  end
  local event = tonumber(ARGV[12])
  if event == 0 then event = math.floor((now - ARGV[6]) / 1000) * 1000 end -- whole seconds, as WeChat tells times
  set('oid', ARGV[3], 'uid', ARGV[4], 'jti', ARGV[7], 'iat', ms(now), 'evt', ms(event))
  if ARGV[4] ~= '' then set('uset', '1') end
  set('risk', ARGV[11])
  if ARGV[5] == '1' then
    move('claimed', '')
    set('exp', ms(math.max(num('exp'), now + ARGV[9])))
  else
    move('done', 'scan')
  end
  liveuntil(math.max(num('exp') + ARGV[8], now) + ARGV[10])
  return answer('claimed')
end

if state ~= 'claimed' and state ~= 'done' then return answer(state) end
if openid ~= ARGV[3] then return answer('taken') end
-- our own claim, repeated because its answer was lost
if get('jti') == ARGV[7] then
  moved = 1
  return answer('claimed')
end
return answer('same')
