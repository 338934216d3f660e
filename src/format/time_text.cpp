#include "format/time_text.hpp"

namespace polis::format {
namespace {

constexpr std::int64_t secondsPerDay = 86400;
constexpr std::int64_t daysPerEra = 146097; // 400 years
constexpr std::int64_t epochDay = 719468;   // from 0000-03-01 to 1970-01-01

struct Date {
   std::int64_t year;
   unsigned month, day;
};

constexpr std::int64_t floorDivide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }
/// In [0, b), and without the overflow of a - floorDivide(a, b) * b.
constexpr std::int64_t floorModulo(std::int64_t a, std::int64_t b) { return a % b + (a % b < 0 ? b : 0); }

/// Years count from March, so that the leap day is a year's last.
constexpr Date dateOfDay(std::int64_t day) {
   const std::int64_t fromMarch = day + epochDay;
   const std::int64_t era = floorDivide(fromMarch, daysPerEra);
   const auto dayOfEra = static_cast<unsigned>(fromMarch - era * daysPerEra);
   const unsigned yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
   const unsigned dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
   const unsigned shifted = (5 * dayOfYear + 2) / 153;
   const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
   return {era * 400 + yearOfEra + (month <= 2), month, dayOfYear - (153 * shifted + 2) / 5 + 1};
}

constexpr std::int64_t dayOfDate(const Date& date) {
   const std::int64_t year = date.year - (date.month <= 2);
   const std::int64_t era = floorDivide(year, 400);
   const auto yearOfEra = static_cast<unsigned>(year - era * 400);
   const unsigned shifted = date.month > 2 ? date.month - 3 : date.month + 9;
   const unsigned dayOfYear = (153 * shifted + 2) / 5 + date.day - 1;
   return era * daysPerEra + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - epochDay;
}
static_assert(dayOfDate({1970, 1, 1}) == 0 && dayOfDate({2000, 3, 1}) == 11017);
static_assert(dateOfDay(-1).year == 1969 && dateOfDay(11016).day == 29);

constexpr unsigned daysInMonth(std::int64_t year, unsigned month) {
   constexpr unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
   const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
   return days[month - 1] + (month == 2 && leap);
}

void putDigits(std::string& out, std::int64_t value, std::size_t digits) {
   out.resize(out.size() + digits);
   for (std::size_t i = 1; i <= digits; ++i, value /= 10)
      out[out.size() - i] = static_cast<char>('0' + value % 10);
}

std::string textOfSeconds(std::int64_t seconds) {
   const std::int64_t day = floorDivide(seconds, secondsPerDay);
   const std::int64_t ofDay = floorModulo(seconds, secondsPerDay);
   const Date date = dateOfDay(day);
   const std::int64_t year = date.year - floorDivide(date.year, 10000) * 10000;
   std::string out;
   putDigits(out, year, 4);
   out += '-';
   putDigits(out, date.month, 2);
   out += '-';
   putDigits(out, date.day, 2);
   out += 'T';
   putDigits(out, ofDay / 3600, 2);
   out += ':';
   putDigits(out, ofDay / 60 % 60, 2);
   out += ':';
   putDigits(out, ofDay % 60, 2);
   return out;
}

class TimeParser {
public:
   explicit TimeParser(std::string_view text) : rest_(text) {}

   struct Time {
      std::int64_t seconds;
      std::int64_t nanoseconds;
   };

   std::optional<Time> parse() {
      std::int64_t year, month, day, hour, minute, second;
      if (!number(4, year) || !take('-') || !number(2, month) || !take('-') || !number(2, day) || !take('T') ||
          !number(2, hour) || !take(':') || !number(2, minute) || !take(':') || !number(2, second))
         return std::nullopt;
      std::int64_t nanoseconds = 0;
      if (take('.') || take(',')) {
         for (std::int64_t unit = 100'000'000; !rest_.empty() && isDigit(rest_[0]); rest_.remove_prefix(1), unit /= 10)
            nanoseconds += (rest_[0] - '0') * unit;
      }
      std::int64_t offset = 0;
      if (!zone(offset) || !rest_.empty())
         return std::nullopt;
      if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, static_cast<unsigned>(month)) || hour > 24 ||
          minute > 59 || second > 60)
         return std::nullopt;
      if (hour == 24 && (minute || second || nanoseconds))
         return std::nullopt;
      if (second == 60)
         second = 59;
      const std::int64_t days = dayOfDate({year, static_cast<unsigned>(month), static_cast<unsigned>(day)});
      return Time{days * secondsPerDay + hour * 3600 + minute * 60 + second - offset, nanoseconds};
   }

private:
   static bool isDigit(char c) { return c >= '0' && c <= '9'; }

   bool take(char c) {
      if (rest_.empty() || rest_[0] != c)
         return false;
      rest_.remove_prefix(1);
      return true;
   }

   bool number(std::size_t digits, std::int64_t& value) {
      if (rest_.size() < digits)
         return false;
      value = 0;
      for (std::size_t i = 0; i < digits; ++i) {
         if (!isDigit(rest_[i]))
            return false;
         value = value * 10 + (rest_[i] - '0');
      }
      rest_.remove_prefix(digits);
      return true;
   }

   bool zone(std::int64_t& offset) {
      constexpr std::string_view minusSign = "\xE2\x88\x92"; // U+2212
      if (take('Z'))
         return true;
      bool negative = false;
      if (rest_.starts_with(minusSign)) {
         rest_.remove_prefix(minusSign.size());
         negative = true;
      } else if (take('-')) {
         negative = true;
      } else if (!take('+')) {
         return false;
      }
      std::int64_t hours, minutes = 0;
      if (!number(2, hours))
         return false;
      if (!rest_.empty()) {
         take(':');
         if (!number(2, minutes))
            return false;
      }
      if (hours > 14 || minutes > 59)
         return false;
      offset = hours * 3600 + minutes * 60;
      if (negative) {
         if (offset == 0)
            return false;
         offset = -offset;
      }
      return true;
   }

   std::string_view rest_;
};

} // namespace

std::string timeText(TimePointSec time) { return textOfSeconds(time.seconds) + 'Z'; }

std::string timeText(TimePointUSec time) {
   const std::int64_t seconds = floorDivide(time.microseconds, 1'000'000);
   std::string out = textOfSeconds(seconds);
   out += '.';
   putDigits(out, floorModulo(time.microseconds, 1'000'000), 6);
   out += 'Z';
   return out;
}

std::optional<TimePointSec> parseTimeSec(std::string_view text) {
   const auto time = TimeParser(text).parse();
   if (!time)
      return std::nullopt;
   return TimePointSec{time->seconds};
}

std::optional<TimePointUSec> parseTimeUSec(std::string_view text) {
   const auto time = TimeParser(text).parse();
   if (!time)
      return std::nullopt;
   return TimePointUSec{time->seconds * 1'000'000 + time->nanoseconds / 1000};
}

} // namespace polis::format
