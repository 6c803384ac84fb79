package wxsim

import "time"

// platformZone is where WeChat's day begins: quotas reset at its midnight.
var platformZone = time.FixedZone("Asia/Shanghai", 8*60*60)

// clock is the platform's time: the wall clock plus what tests advanced it by.
// It rules the lives of tokens, codes, quotas and penalties. Pushes carry the
// wall clock instead, because the receiver's clock was not advanced with ours.
type clock struct {
	ahead time.Duration
}

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

// usage counts the calls of one API today and this minute.
type usage struct {
	day, minute   string
	daily, recent int
}

// take counts a call at now and tells which limit, if any, refuses it.
func (u *usage) take(now time.Time, limit Limit) *apiError {
	u.roll(now)
	if limit.Daily > 0 && u.daily >= limit.Daily {
		return errDailyQuota
	}
	if limit.Minute > 0 && u.recent >= limit.Minute {
		return errMinuteQuota
	}
	u.daily++
	u.recent++
	return nil
}

func (u *usage) roll(now time.Time) {
	local := now.In(platformZone)
	if day := local.Format("2006-01-02"); day != u.day {
		u.day, u.daily = day, 0
	}
	if minute := local.Format("2006-01-02 15:04"); minute != u.minute {
		u.minute, u.recent = minute, 0
	}
}

// monthly counts quota resets, ten a month for an account.
type monthly struct {
	month string
	used  int
}

const clearsPerMonth = 10

func (m *monthly) take(now time.Time) *apiError {
	if month := now.In(platformZone).Format("2006-01"); month != m.month {
		m.month, m.used = month, 0
	}
	if m.used >= clearsPerMonth {
		return errClearsUsedUp
	}
	m.used++
	return nil
}

// dailyLimits are the platform's quotas (docs/wechat.md §1.5): account, sandbox.
var dailyLimits = map[string][2]int{
	"/cgi-bin/token":               {2_000, 200},
	"/cgi-bin/stable_token":        {500_000, 500_000},
	"/cgi-bin/qrcode/create":       {100_000, 10_000},
	"/cgi-bin/user/info":           {5_000_000, 500_000},
	"/cgi-bin/user/info/batchget":  {5_000_000, 500_000},
	"/cgi-bin/message/custom/send": {500_000, 50_000},
}

// minuteLimits are the documented ones; the others are unpublished.
var minuteLimits = map[string]int{"/cgi-bin/stable_token": 10_000}

// limit is what the account may call path, its own settings first.
func (a *account) limit(path string) Limit {
	platform := Limit{Daily: dailyLimits[path][0], Minute: minuteLimits[path]}
	if a.Kind == Sandbox {
		platform.Daily = dailyLimits[path][1]
	}
	own := a.Limits[path]
	if own.Daily != 0 {
		platform.Daily = own.Daily
	}
	if own.Minute != 0 {
		platform.Minute = own.Minute
	}
	return platform
}

func (a *account) usageOf(path string) *usage {
	u := a.usage[path]
	if u == nil {
		u = &usage{}
		a.usage[path] = u
	}
	return u
}
