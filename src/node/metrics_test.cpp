#include "node/metrics.hpp"
#include <gtest/gtest.h>

namespace polis::node {

using namespace std::chrono_literals;

TEST(Metrics, durationsFallIntoTheirClass) {
   DurationCounts counts;
   counts.add(-5ms);
   counts.add(1ms); // an end belongs to its class
   counts.add(1001us);
   counts.add(60s);
   counts.add(61s);
   const auto now = counts.counts();
   EXPECT_EQ(now.classes.front(), 2u);
   EXPECT_EQ(now.classes[1], 1u);
   EXPECT_EQ(now.classes[DurationCounts::endsMs.size() - 1], 1u);
   EXPECT_EQ(now.classes.back(), 1u);
   EXPECT_EQ(now.sumUs, 121'002'001u);
}

TEST(Metrics, text) {
   MetricsText text;
   text.gauge("peers", "Neighbours.", std::uint64_t{3});
   text.counter("frame_bytes", "Sent \"to\" all.", 12);
   text.gauge("load_seconds", "Time.", 0.25);
   text.state("role", "What it does.", {"leader", "follower"}, "follower");
   text.info("build", "Which program.", {{"version", "1\\2\n\"3\""}});
   text.gauges("peer", "Each.", {{{{"where", "a"}}, 1}, {{{"where", "b"}}, 2}});
   EXPECT_EQ(std::move(text).finish(), "# TYPE polis_peers gauge\n"
                                       "# HELP polis_peers Neighbours.\n"
                                       "polis_peers 3\n"
                                       "# TYPE polis_frame_bytes counter\n"
                                       "# UNIT polis_frame_bytes bytes\n"
                                       "# HELP polis_frame_bytes Sent \\\"to\\\" all.\n"
                                       "polis_frame_bytes_total 12\n"
                                       "# TYPE polis_load_seconds gauge\n"
                                       "# UNIT polis_load_seconds seconds\n"
                                       "# HELP polis_load_seconds Time.\n"
                                       "polis_load_seconds 0.25\n"
                                       "# TYPE polis_role stateset\n"
                                       "# HELP polis_role What it does.\n"
                                       "polis_role{polis_role=\"leader\"} 0\n"
                                       "polis_role{polis_role=\"follower\"} 1\n"
                                       "# TYPE polis_build info\n"
                                       "# HELP polis_build Which program.\n"
                                       "polis_build_info{version=\"1\\\\2\\n\\\"3\\\"\"} 1\n"
                                       "# TYPE polis_peer gauge\n"
                                       "# HELP polis_peer Each.\n"
                                       "polis_peer{where=\"a\"} 1\n"
                                       "polis_peer{where=\"b\"} 2\n"
                                       "# EOF\n");
}

TEST(Metrics, aHistogramAddsUp) {
   DurationCounts counts;
   counts.add(3ms);
   counts.add(700ms);
   counts.add(90s);
   MetricsText text;
   text.durations("push_seconds", "How long.", counts);
   const auto out = std::move(text).finish();
   for (const char* line : {"# TYPE polis_push_seconds histogram\n", "polis_push_seconds_bucket{le=\"0.002\"} 0\n",
                            "polis_push_seconds_bucket{le=\"0.005\"} 1\n", "polis_push_seconds_bucket{le=\"0.5\"} 1\n",
                            "polis_push_seconds_bucket{le=\"0.75\"} 2\n", "polis_push_seconds_bucket{le=\"60\"} 2\n",
                            "polis_push_seconds_bucket{le=\"+Inf\"} 3\n", "polis_push_seconds_count 3\n",
                            "polis_push_seconds_sum 90.703\n"})
      EXPECT_NE(out.find(line), std::string::npos) << line << out;
}

} // namespace polis::node
