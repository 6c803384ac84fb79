-- KEYS[1] is an event. ARGV: 2 lease, 3 who asks
-- A lease is over when the key is gone; 'until' says so for a shifted clock.
if num('until') > now then
  if get('done') == '1' then return {'done', get('reply')} end
  -- the asker's own question, repeated because its answer was lost
  return {get('by') == ARGV[3] and 'first' or 'processing', ''}
end
redis.call('DEL', KEYS[1])
set('until', ms(now + ARGV[2]), 'by', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'first', ''}
