#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define SECONDS_PER_DAY 86400
#define DAYS_PER_400_YEARS 146097
/*
 * What RFC 3339 can write: 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z; beyond it the nearest is
 * written.
 */
#define SECONDS_MIN (-62167219200)
#define SECONDS_MAX 253402300799

uint64_t clock_mono_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

int64_t clock_wall(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Not gmtime_r(): time_t has 32 bits on some hosts, and an image may carry any time. */
void rfc3339_format(int64_t seconds, char out[RFC3339_SIZE])
{
	static const int month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t days;
	int rest, year, month = 0, n;

	if (seconds < SECONDS_MIN)
		seconds = SECONDS_MIN;
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	seconds -= SECONDS_MIN; /* count from year 0, a leap year and the start of a cycle */
	days = seconds / SECONDS_PER_DAY;
	rest = (int)(seconds % SECONDS_PER_DAY);
	year = (int)(days / DAYS_PER_400_YEARS) * 400;
	days %= DAYS_PER_400_YEARS;
	for (n = is_leap(year) ? 366 : 365; days >= n; n = is_leap(year) ? 366 : 365) {
		days -= n;
		year++;
	}
	for (;; month++) {
		n = month_days[month] + (month == 1 && is_leap(year));
		if (days < n)
			break;
		days -= n;
	}
	snprintf(out, RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month + 1,
		(int)days + 1, rest / 3600, rest / 60 % 60, rest % 60);
}
