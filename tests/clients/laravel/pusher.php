<?php

// What Laravel's broadcaster calls of pusher-php-server, which the tests cannot install: signatures as docs/protocol.md
// §2.1 and §2.2 describe them.

namespace Pusher;

class Pusher
{
    public function __construct(private string $key, private string $secret)
    {
    }

    public function socket_auth(string $channel, string $socket): string
    {
        return json_encode(['auth' => $this->sign("{$socket}:{$channel}")]);
    }

    public function presence_auth(string $channel, string $socket, string $user, mixed $info): string
    {
        $data = json_encode(['user_id' => $user, 'user_info' => $info]);
        return json_encode(['auth' => $this->sign("{$socket}:{$channel}:{$data}"), 'channel_data' => $data]);
    }

    private function sign(string $text): string
    {
        return $this->key . ':' . hash_hmac('sha256', $text, $this->secret);
    }
}
