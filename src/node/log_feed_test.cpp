#include "node/log_feed.hpp"
#include <gtest/gtest.h>

namespace polis::node {
namespace {

std::string levelsOf(std::string_view text) {
   const auto filter = parseLogFilter(text);
   if (!filter)
      return "refused";
   std::string out;
   for (const auto level : {log::Level::debug, log::Level::info, log::Level::warning, log::Level::error})
      if (filter->wants(level))
         out += log::levelName(level)[0];
   return out;
}

} // namespace

TEST(LogFilter, severities) {
   EXPECT_EQ(levelsOf(""), "diwe");
   EXPECT_EQ(levelsOf("  "), "diwe");
   EXPECT_EQ(levelsOf("Severity >= info"), "iwe");
   EXPECT_EQ(levelsOf("Severity>=warning"), "we");
   EXPECT_EQ(levelsOf("Severity > notice"), "we");
   EXPECT_EQ(levelsOf("Severity >= critical"), "");
   EXPECT_EQ(levelsOf("Severity < warning"), "di");
   EXPECT_EQ(levelsOf("Severity <= warning"), "diw");
   EXPECT_EQ(levelsOf("Severity = error"), "e");
   EXPECT_EQ(levelsOf("Severity == error"), "e");
   EXPECT_EQ(levelsOf("Severity != info"), "dwe");
}

TEST(LogFilter, whatIsNotUnderstoodIsRefused) {
   for (const auto* text : {"Severity", "Severity info", "Severity >= loud", "Severity >= info and Host = 'x'", "info",
                            "Severity => info", "Severity >= ", "severity >= info"})
      EXPECT_EQ(levelsOf(text), "refused") << text;
}

TEST(LogFeed, keepsTheNewestRecords) {
   LogFeed feed;
   log::write(log::Level::warning, "a \"quoted\" word\n", "tokens");
   auto records = feed.recent();
   ASSERT_EQ(records.size(), 1u);
   EXPECT_NE(records[0].find(R"("Severity":"warning","Message":"a \"quoted\" word\n","Service":"tokens"})"),
             std::string::npos)
       << records[0];
   EXPECT_TRUE(records[0].starts_with(R"({"TimeStamp":"20)")) << records[0];
   log::write(log::Level::info, std::string(LogFeed::recordBytesMax, 'x') + "end");
   EXPECT_EQ(feed.recent()[1].find("end"), std::string::npos);
   EXPECT_EQ(feed.recent()[1].find("Service"), std::string::npos);
   log::write(log::Level::info, "no text: \xff\xc3\x28");
   EXPECT_NE(feed.recent()[2].find("no text: \?\?("), std::string::npos) << feed.recent()[2];
   log::write(log::Level::debug, "not even written");
   for (std::size_t i = 0; i < LogFeed::recordsMax; ++i)
      log::write(log::Level::info, std::to_string(i));
   records = feed.recent();
   ASSERT_EQ(records.size(), LogFeed::recordsMax);
   EXPECT_NE(records.front().find(R"("Message":"0")"), std::string::npos) << records.front();
}

} // namespace polis::node
