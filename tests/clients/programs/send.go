// `send every|bad|many|twice`: what send.mjs does, by Segment's library for Go.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/analytics-go/v3"
)

var userId = os.Getenv("USER_ID")

// outcomes counts what the library says of each message; it drops what waits to be sent again when it is closed.
type outcomes struct {
	sync.WaitGroup
	mutex    sync.Mutex
	failures []string
}

func (o *outcomes) Success(analytics.Message) { o.Done() }

func (o *outcomes) Failure(_ analytics.Message, err error) {
	o.mutex.Lock()
	o.failures = append(o.failures, err.Error())
	o.mutex.Unlock()
	o.Done()
}

func main() {
	done := &outcomes{failures: []string{}}
	client, err := analytics.NewWithConfig(os.Getenv("KEY"), analytics.Config{
		Endpoint:  os.Getenv("URL"),
		Interval:  50 * time.Millisecond,
		BatchSize: 5,
		Callback:  done,
		Logger:    analytics.StdLogger(log.New(os.Stderr, "", 0)),
	})
	if err != nil {
		log.Fatal(err)
	}
	send := func(message analytics.Message) {
		done.Add(1)
		if err := client.Enqueue(message); err != nil {
			log.Fatal(err)
		}
	}
	scenarios := map[string]func(func(analytics.Message)){
		"every": every, "bad": bad, "many": many, "twice": twice,
	}
	scenarios[os.Args[1]](send)
	done.Wait()
	client.Close()
	printed, _ := json.Marshal(map[string][]string{"failures": done.failures})
	fmt.Println(string(printed))
}

func every(send func(analytics.Message)) {
	device := userId + "'s device"
	page := analytics.NewProperties().Set("url", "https://shop.example.com/pricing")
	send(analytics.Track{AnonymousId: device, Event: "Product Viewed", Properties: analytics.NewProperties().Set("sku", "A1")})
	send(analytics.Identify{UserId: userId, Traits: analytics.NewTraits().Set("plan", "pro").SetEmail("jane@example.com")})
	send(analytics.Track{UserId: userId, Event: "Order Completed", Properties: analytics.NewProperties().SetTotal(9)})
	send(analytics.Page{UserId: userId, Name: "Pricing", Properties: page})
	send(analytics.Screen{UserId: userId, Name: "Settings"})
	send(analytics.Group{UserId: userId, GroupId: userId + "'s group", Traits: analytics.NewTraits().SetName("Acme")})
	send(analytics.Alias{PreviousId: device, UserId: userId})
}

func counted(n int) analytics.Track {
	return analytics.Track{UserId: userId, Event: "Counted", Properties: analytics.NewProperties().Set("n", n)}
}

func bad(send func(analytics.Message)) {
	for n := 1; n <= 3; n++ {
		event := counted(n)
		for i := 0; n == 2 && i < 501; i++ {
			event.Properties.Set("p"+strconv.Itoa(i), i)
		}
		send(event)
	}
}

func many(send func(analytics.Message)) {
	count, _ := strconv.Atoi(os.Getenv("COUNT"))
	paceMs, _ := strconv.Atoi(os.Getenv("PACE_MS"))
	for n := 1; n <= count; n++ {
		send(counted(n))
		time.Sleep(time.Duration(paceMs) * time.Millisecond)
	}
}

func twice(send func(analytics.Message)) {
	send(analytics.Identify{UserId: userId, Traits: analytics.NewTraits().Set("plan", "old").SetName("Jane")})
	time.Sleep(1500 * time.Millisecond)
	send(analytics.Identify{UserId: userId, Traits: analytics.NewTraits().Set("plan", "new")})
}
