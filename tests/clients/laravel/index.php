<?php

// A Laravel application with the routes of docs/examples/sign-in, as `php -S` runs it. The framework is Debian's
// php-laravel-framework; in place of pusher-php-server, which Debian does not have, stands the class in pusher.php.
// A bearer token `42` is user 42. Each request is told on stderr before it is answered.

use Illuminate\Auth\AuthServiceProvider;
use Illuminate\Broadcasting\BroadcastServiceProvider;
use Illuminate\Config\Repository;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Database\Eloquent\Collection;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Filesystem\FilesystemServiceProvider;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Auth\User as Authenticatable;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Foundation\Http\Kernel;
use Illuminate\Foundation\Providers\FoundationServiceProvider;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Facade;
use Illuminate\Translation\TranslationServiceProvider;
use Illuminate\Validation\ValidationServiceProvider;
use Illuminate\View\ViewServiceProvider;

file_put_contents('php://stderr', "asked {$_SERVER['REQUEST_METHOD']} {$_SERVER['REQUEST_URI']}\n");
error_reporting(E_ALL & ~E_DEPRECATED);
require 'Illuminate/autoload.php';
require __DIR__ . '/pusher.php';

class Order extends Model
{
}

class User extends Authenticatable
{
    /** A user with some orders, as a database would have them. */
    public static function of(int $id, int $orders): self
    {
        $order = fn (int $key) => (new Order())->forceFill(['id' => $key]);
        $user = (new self())->forceFill(['id' => $id, 'name' => "User {$id}"]);
        return $user->setRelation('orders', new Collection(array_map($order, range(1, $orders))));
    }
}

$reverb = [
    'app_id' => getenv('REVERB_APP_ID'),
    'key' => getenv('REVERB_APP_KEY'),
    'secret' => getenv('REVERB_APP_SECRET'),
];
$app = new Application(__DIR__);
$app->instance('config', new Repository([
    'app' => ['locale' => 'en', 'fallback_locale' => 'en', 'debug' => false],
    'auth' => ['defaults' => ['guard' => 'token'], 'guards' => ['token' => ['driver' => 'bearer']]],
    // Laravel 8 has no driver `reverb` yet: it is that of `pusher` under another name.
    'broadcasting' => ['default' => 'reverb', 'connections' => ['reverb' => ['driver' => 'pusher'] + $reverb]],
    'logging' => ['default' => 'errorlog', 'channels' => ['errorlog' => ['driver' => 'errorlog']]],
    'view' => ['paths' => [], 'compiled' => sys_get_temp_dir()],
]));
Facade::setFacadeApplication($app);
foreach ([
    AuthServiceProvider::class,
    BroadcastServiceProvider::class,
    FilesystemServiceProvider::class,
    FoundationServiceProvider::class,
    TranslationServiceProvider::class,
    ValidationServiceProvider::class,
    ViewServiceProvider::class,
] as $provider) {
    $app->register($provider);
}
$app->singleton(ExceptionHandler::class, Handler::class);
Auth::viaRequest('bearer', function (Request $request) {
    $token = $request->bearerToken();
    return ctype_digit((string) $token) ? User::of((int) $token, 38) : null;
});
$app->bootstrapWith([]);
$app->boot();

// routes/web.php
Broadcast::routes(['middleware' => []]);
require __DIR__ . '/../../../docs/examples/sign-in/sign-in.php';
require __DIR__ . '/../../../docs/examples/sign-in/many-channels.php';
require __DIR__ . '/channels.php';

$kernel = $app->make(Kernel::class);
$response = $kernel->handle($request = Request::capture());
$response->send();
$kernel->terminate($request, $response);
