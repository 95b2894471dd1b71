-- wrk goes round the paths that a file lists, one a line; the requests are made once, before the clock runs.

local made, next_one = {}, 0

function init(arguments)
  for path in io.lines(arguments[1]) do
    made[#made + 1] = wrk.format("GET", path)
  end
end

function request()
  next_one = next_one % #made + 1
  return made[next_one]
end
