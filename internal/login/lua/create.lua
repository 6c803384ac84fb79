-- ARGV: 2 life, 3 how much longer it answers, 4 hash of the resume secret, 5... fields
if alive() then
  -- our own Create, repeated because its answer was lost
  return answer(same(get('rh'), ARGV[4]) and 'created' or 'exists')
end
redis.call('DEL', KEYS[1])
set('st', 'waiting', 'rh', ARGV[4], 'cre', ms(now), 'exp', ms(now + ARGV[2]), unpack(ARGV, 5))
liveuntil(now + ARGV[2] + ARGV[3])
moved = 1
return answer('created')
