// The Java consumer in groups of both protocols, polled in turn by one thread; started as a source file.
//
//   java -cp 'kafka-clients…' Groups.java BOOTSTRAP TOPIC SCENARIO
//
// TOPIC exists and has six partitions. Ends with "ok", or with what went wrong and an exit status.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Groups {
    static final int PARTITIONS = 6;
    static String bootstrap;
    static String topic;
    static Admin admin;

    static class Member {
        final KafkaConsumer<String, String> consumer;
        final List<String> events = new ArrayList<>();
        final List<ConsumerRecord<String, String>> seen = new ArrayList<>();
        boolean commits = true; // what moves; the client would wait a minute to commit for a topic that is gone

        Member(String group, String... more) {
            Properties settings = new Properties();
            settings.putAll(Map.of(
                "bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest",
                "enable.auto.commit", "false", "metadata.max.age.ms", "1000"));
            for (int i = 0; i < more.length; i += 2) settings.put(more[i], more[i + 1]);
            consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        }

        final ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
            public void onPartitionsAssigned(Collection<TopicPartition> given) { events.add("assign " + numbers(given)); }
            public void onPartitionsRevoked(Collection<TopicPartition> taken) {
                events.add("revoke " + numbers(taken));
                if (commits && !taken.isEmpty()) consumer.commitSync();
            }
            public void onPartitionsLost(Collection<TopicPartition> lost) { events.add("lost " + numbers(lost)); }
        };

        Member subscribe() {
            consumer.subscribe(List.of(topic), listener);
            return this;
        }

        void poll() { consumer.poll(Duration.ofMillis(20)).forEach(seen::add); }

        Set<TopicPartition> owned() { return consumer.assignment(); }
    }

    static Set<Integer> numbers(Collection<TopicPartition> partitions) {
        Set<Integer> found = new TreeSet<>();
        partitions.forEach(partition -> found.add(partition.partition()));
        return found;
    }

    static void check(boolean claim, Object message) {
        if (!claim) throw new AssertionError(message);
    }

    static void until(String what, List<Member> members, BooleanSupplier claim) {
        long end = System.nanoTime() + 40_000_000_000L;
        while (!claim.getAsBoolean()) {
            if (System.nanoTime() > end) {
                StringBuilder told = new StringBuilder("it never came to: " + what);
                for (Member member : members) told.append("\n  ").append(member.owned()).append(member.events);
                throw new AssertionError(told);
            }
            members.forEach(Member::poll);
        }
    }

    static void settle(List<Member> members) {
        until("a balanced group of " + members.size(), members, () -> {
            Set<TopicPartition> all = new HashSet<>();
            int count = 0;
            for (Member member : members) {
                int own = member.owned().size();
                if (own < PARTITIONS / members.size()) return false;
                count += own;
                all.addAll(member.owned());
            }
            return count == PARTITIONS && all.size() == PARTITIONS;
        });
    }

    static void fill(String name, int count) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < count; i++) producer.send(new ProducerRecord<>(name, i % PARTITIONS, "", "" + i));
        }
    }

    static String typeOf(String group) throws Exception {
        for (var row : admin.listGroups(new ListGroupsOptions()).all().get())
            if (row.groupId().equals(group)) return row.type().map(Object::toString).orElse("?");
        return "none";
    }

    // Members come and go, and every record is read once: offsets are committed before partitions move.
    static void rolling(String group) throws Exception {
        fill(topic, 600);
        List<Member> members = new ArrayList<>(), all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            members.add(new Member(group, "group.protocol", "consumer", "max.poll.records", "10").subscribe());
            settle(members);
        }
        all.addAll(members);
        for (int i = 0; i < 3; i++) {
            Member gone = members.remove(0);
            gone.consumer.commitSync();
            gone.consumer.close();
            settle(members);
            Member fresh = new Member(group, "group.protocol", "consumer", "max.poll.records", "10").subscribe();
            members.add(fresh);
            all.add(fresh);
            settle(members);
        }
        until("all records", members, () -> all.stream().mapToInt(member -> member.seen.size()).sum() >= 600);
        Set<String> values = new HashSet<>();
        int count = 0;
        for (Member member : all) {
            count += member.seen.size();
            member.seen.forEach(record -> values.add(record.value()));
            check(member.events.stream().noneMatch(event -> event.startsWith("lost")), member.events);
        }
        check(values.size() == 600 && count == 600, values.size() + " of 600 records, read " + count + " times");
        check(typeOf(group).equals("Consumer"), typeOf(group));
        members.forEach(member -> member.consumer.close());
    }

    // A pattern that the broker resolves finds topics that come later, and loses those that go.
    static void pattern(String group) throws Exception {
        Member member = new Member(group, "group.protocol", "consumer");
        member.commits = false;
        member.consumer.subscribe(new SubscriptionPattern(topic + "-(red|blue)"), member.listener);
        for (String colour : List.of("red", "green", "blue")) {
            admin.createTopics(List.of(new NewTopic(topic + "-" + colour, PARTITIONS, (short) 3))).all().get();
            fill(topic + "-" + colour, PARTITIONS);
        }
        until("two topics", List.of(member), () -> member.owned().size() == 12 && member.seen.size() == 12);
        check(member.seen.stream().noneMatch(record -> record.topic().endsWith("green")), "green was read");
        admin.deleteTopics(List.of(topic + "-red")).all().get();
        until("one topic", List.of(member), () -> member.owned().size() == 6);
        member.consumer.close();
    }

    // A static member that comes back finds its partitions, and the other one notices nothing.
    static void statics(String group) throws Exception {
        String[] one = {"group.protocol", "consumer", "group.instance.id", "one"};
        String[] two = {"group.protocol", "consumer", "group.instance.id", "two"};
        Member first = new Member(group, one).subscribe(), second = new Member(group, two).subscribe();
        settle(List.of(first, second));
        Set<TopicPartition> owned = new HashSet<>(second.owned());
        List<String> events = new ArrayList<>(first.events);
        second.consumer.close();
        Member again = new Member(group, two).subscribe();
        until("its partitions", List.of(first, again), () -> again.owned().equals(owned));
        for (int i = 0; i < 50; i++) first.poll();
        check(first.events.equals(events), first.events);
        first.consumer.close();
        again.consumer.close();
    }

    // One member after the other goes from the classic protocol to the new one, and back.
    static void migration(String group) throws Exception {
        String assignors = "org.apache.kafka.clients.consumer.";
        for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
            String name = group + "-" + assignor;
            String[] classic = {
                "group.protocol", "classic", "partition.assignment.strategy", assignors + assignor,
                "heartbeat.interval.ms", "300"};
            String[] consumer = {"group.protocol", "consumer"};
            List<Member> members = new ArrayList<>();
            for (int i = 0; i < 2; i++) members.add(new Member(name, classic).subscribe());
            settle(members);
            for (String[] kind : List.of(consumer, classic)) {
                for (int i = 0; i < 2; i++) {
                    members.remove(0).consumer.close();
                    members.add(new Member(name, kind).subscribe());
                    settle(members);
                }
                String wanted = kind == consumer ? "Consumer" : "Classic";
                check(typeOf(name).equals(wanted), assignor + ": " + typeOf(name) + " instead of " + wanted);
            }
            members.forEach(member -> member.consumer.close());
        }
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        topic = arguments[1];
        String group = topic + "-group";
        admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap));
        switch (arguments[2]) {
            case "rolling" -> rolling(group);
            case "pattern" -> pattern(group);
            case "statics" -> statics(group);
            case "migration" -> migration(group);
            default -> throw new IllegalArgumentException(Arrays.toString(arguments));
        }
        admin.close();
        System.out.println("ok");
    }
}
