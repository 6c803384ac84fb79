-- ARGV: 2 hash of the code, 3 its life
if not alive() or get('st') ~= 'done' or get('ch') == '' or get('xat') ~= '' or get('rev') ~= '' then
  return answer('unknown')
end
set('code', ARGV[2], 'cend', ms(now + ARGV[3]), 'try', '0')
return answer('known')
