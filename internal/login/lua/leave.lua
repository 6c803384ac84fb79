-- KEYS[1] is when a person left. ARGV: 2 when, 0 for now; 3 how long it is remembered
local at = tonumber(ARGV[2])
if at == 0 then at = math.floor(now / 1000) * 1000 end -- whole seconds, as WeChat tells times
if (tonumber(redis.call('GET', KEYS[1]) or 0) or 0) < at then
  redis.call('SET', KEYS[1], ms(at), 'PX', ARGV[3])
end
return ms(at)
